/*
 * provenv: the program. Everything is in cmds/.
 */
#include "cmds/cmd.h"

#include "base/banned.h"

int main(int argc, char **argv)
{
	return command_main(argc, argv);
}
