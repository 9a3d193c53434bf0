/*
 * Keys whose names say that their values are secret; see value_check.h.
 *
 * Goes by words of the name. Must not look at a value.
 */
#include "ops/value_check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strings.h>

#include "base/bytes.h"

#include "base/banned.h"

/* A length and the last letter tell most words apart, so that an import is not slowed by this. */
struct secret_word {
	const char *text;
	size_t len;
	bool alone; /* the others also end a longer word: PGPASSWORD; but a MONKEY is no KEY */
};

#define WORD(text) text, sizeof(text) - 1

static bool is_secret_word(const char *word, size_t len)
{
	static const struct secret_word words[] = {
		{ WORD("KEY"), true },          { WORD("PASS"), true },
		{ WORD("PWD"), true },          { WORD("SECRETS"), true },
		{ WORD("PASSWORDS"), true },    { WORD("PASSWORD"), false },
		{ WORD("PASSWD"), false },      { WORD("PASSPHRASE"), false },
		{ WORD("SECRET"), false },      { WORD("TOKEN"), false },
		{ WORD("APIKEY"), false },      { WORD("CREDENTIAL"), false },
		{ WORD("CREDENTIALS"), false },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t known = words[i].len;

		if (len < known || (words[i].alone && len > known))
			continue;
		if ((word[len - 1] & ~0x20) == words[i].text[known - 1] &&
		    strncasecmp(word + (len - known), words[i].text, known) == 0)
			return true;
	}
	return false;
}

static bool is_upper(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z';
}

static bool is_lower(uint8_t byte)
{
	return byte >= 'a' && byte <= 'z';
}

/* Words end at whatever is no letter, and where a small letter meets a capital one: apiKey. */
bool key_looks_secret(struct slice key)
{
	size_t start = 0;

	for (size_t i = 0; i <= key.len; i++) {
		bool letter = i < key.len && (is_upper(key.data[i]) || is_lower(key.data[i]));
		bool hump =
			letter && i > start && is_upper(key.data[i]) && is_lower(key.data[i - 1]);

		if (letter && !hump)
			continue;
		if (i > start && is_secret_word((const char *)key.data + start, i - start))
			return true;
		start = hump ? i : i + 1;
	}
	return false;
}
