/*
 * The scenarios; see power.h. Each is as small as it may be and still passes every file that its
 * commands write: states grow with the square of the calls.
 */
#include "crash/power.h"

#include <stddef.h>

#include "base/banned.h"

#define INIT "provenv -q init --key operator && "
#define SETS INIT "for n in 1 2 3 4 5; do provenv -q set A=$n B$n=$n || exit; done && "

const struct scenario power_scenarios[] = {
	{
		.name = "init",
		.setup = "true",
		.steps = { "provenv init --key operator", "provenv set A=1" },
		.makes_store = true,
		.tears_meta = true,
	},
	{
		.name = "append",
		.setup = SETS "true",
		.steps = { "provenv set A=10", "provenv set A=11", "provenv unset A" },
		.tears_meta = true,
	},
	{
		.name = "group append",
		.setup = INIT "true",
		.steps = { "provenv set A=1 B=2 C=3", "provenv spec import %/catalogue.json",
			   "provenv env create staging" },
	},
	{
		.name = "sealing",
		.setup = INIT "echo one >$OUTPUT.1 && echo two >$OUTPUT.2",
		.steps = { "provenv set TOKEN --secret --file @.1",
			   "provenv set TOKEN --secret --file @.2", "provenv get TOKEN --reveal" },
	},
	{
		.name = "catch-up",
		.setup = SETS "cp -r $PROVENV_STORE/state $OUTPUT.state && provenv -q set A=7 && "
			      "provenv -q set A=8 && rm -r $PROVENV_STORE/state && "
			      "mv $OUTPUT.state $PROVENV_STORE/state",
		.steps = { "provenv get A", "provenv set A=9" },
	},
	{
		.name = "rebuild",
		.setup = SETS "true",
		.steps = { "provenv rebuild", "provenv set A=9", "provenv rebuild" },
	},
	{
		.name = "state lost",
		.setup = SETS "rm -r $PROVENV_STORE/state",
		.steps = { "provenv set A=9", "provenv ls" },
	},
	{
		.name = "rollback",
		.setup = SETS "provenv -q env switch testing",
		.steps = { "provenv rollback --to HEAD~3", "provenv revert HEAD" },
	},
	{
		.name = "environments",
		.setup = INIT "provenv -q profile create fast",
		.steps = { "provenv env switch production -m live --confirm=production",
			   "provenv profile switch fast -e development",
			   "provenv env rm testing -m unused" },
	},
	{
		.name = "evidence",
		.setup = SETS "rm $PROVENV_STORE/head $XDG_STATE_HOME/provenv/*.checkpoint",
		.steps = { "provenv get A", "provenv set A=9", "provenv set A=10" },
	},
	{
		.name = "doctor",
		.setup = SETS
		"rm $PROVENV_STORE/head && echo >$PROVENV_STORE/vault/.x.0123456789abcdef.tmp",
		.steps = { "provenv doctor", "provenv set A=9" },
	},
	{
		.name = "accepted loss",
		.setup = SETS "cp $PROVENV_STORE/log/data.mdb $OUTPUT.old && "
			      "provenv -q set A=9 && cp $OUTPUT.old $PROVENV_STORE/log/data.mdb",
		.steps = { "provenv doctor --accept-loss=13 --confirm=operator -m restored",
			   "provenv set A=10" },
		.accepts_loss = true,
	},
	{
		.name = "copies",
		.setup = SETS "true",
		.steps = { "provenv-replay rebuild . --to 10 --output @.rebuilt",
			   "provenv-replay salvage . --output @.salvaged" },
		.copies = true,
	},
};

const size_t power_scenario_count = sizeof(power_scenarios) / sizeof(*power_scenarios);
