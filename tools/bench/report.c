/*
 * Medians, the table and the JSON; see report.h.
 *
 * JSON holds integers only: rates are rounded to whole numbers per second, ratios given in
 * thousandths.
 */
#include "report.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/json.h"
#include "machine.h"

#include "base/banned.h"

struct spread {
	double median;
	double least;
	double most;
};

struct measure *report_measure(struct report *report, const struct row *row, struct error *err,
			       const char *label, ...)
{
	struct measure *measure = calloc(1, sizeof(*measure));
	va_list args;

	if (!measure) {
		(void)error_no_memory(err);
		return NULL;
	}
	if (report->last)
		report->last->next = measure;
	else
		report->first = measure;
	report->last = measure;
	measure->row = row;
	measure->goal = row->goal;
	measure->what = row->what;
	measure->limit = row->limit;
	va_start(args, label);
	(void)vsnprintf(measure->label, sizeof(measure->label), label, args);
	va_end(args);
	return measure;
}

void report_release(struct report *report)
{
	for (struct measure *measure = report->first, *next; measure; measure = next) {
		next = measure->next;
		free(measure);
	}
	buf_release(&report->notes);
}

void measure_one(struct measure *measure, double ours)
{
	if (measure->count < RUNS_MAX)
		measure->ours[measure->count++] = ours;
}

void measure_pair(struct measure *measure, double ours, double theirs)
{
	if (measure->count == RUNS_MAX)
		return;
	measure->paired = true;
	measure->theirs[measure->count] = theirs;
	measure_one(measure, ours);
}

static int by_value(const void *a, const void *b)
{
	const double *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static struct spread spread_of(const double *values, size_t count)
{
	double sorted[RUNS_MAX];

	assert(count > 0 && count <= RUNS_MAX);
	memcpy(sorted, values, count * sizeof(*values));
	qsort(sorted, count, sizeof(*sorted), by_value);
	return (struct spread){
		.median = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2,
		.least = sorted[0],
		.most = sorted[count - 1],
	};
}

static struct spread ratio_of(const struct measure *measure)
{
	double ratios[RUNS_MAX];

	for (size_t i = 0; i < measure->count; i++)
		ratios[i] = measure->ours[i] / measure->theirs[i];
	return spread_of(ratios, measure->count);
}

static bool goal_met(const struct measure *measure)
{
	double target = measure->row->target;

	switch (measure->goal) {
	case GOAL_RATIO_AT_LEAST:
		return ratio_of(measure).median >= target;
	case GOAL_RATIO_AT_MOST:
		return ratio_of(measure).median <= target;
	case GOAL_VALUE_AT_LEAST:
		return spread_of(measure->ours, measure->count).median >= target;
	case GOAL_VALUE_AT_MOST:
		return spread_of(measure->ours, measure->count).median <= target;
	case GOAL_NONE:
	default:
		return true;
	}
}

/* --- the table -------------------------------------------------------------------------------- */

struct scale {
	double factor;
	const char *suffix;
};

/* Three digits that count, in the greatest scale that fits. */
static void format_value(enum unit unit, double value, char *ret, size_t size)
{
	static const struct scale scales[][4] = {
		[UNIT_PER_SECOND] = { { 1, "/s" }, { 1e3, "k/s" }, { 1e6, "M/s" }, { 1e9, "G/s" } },
		[UNIT_NANOSECONDS] = { { 1, "ns" }, { 1e3, "us" }, { 1e6, "ms" }, { 1e9, "s" } },
		[UNIT_BYTES] = { { 1, "B" },
				 { 1024, "KiB" },
				 { 1048576, "MiB" },
				 { 1073741824, "GiB" } },
	};
	const struct scale *scale = &scales[unit][0];
	double scaled;

	for (size_t i = 1; i < 4 && value >= scales[unit][i].factor; i++)
		scale = &scales[unit][i];
	scaled = value / scale->factor;
	(void)snprintf(ret, size, "%.*f %s",
		       scaled < 10    ? 2
		       : scaled < 100 ? 1
				      : 0,
		       scaled, scale->suffix);
}

static void format_spread(enum unit unit, const struct spread *spread, char *ret, size_t size)
{
	char median[32], least[32], most[32];

	format_value(unit, spread->median, median, sizeof(median));
	format_value(unit, spread->least, least, sizeof(least));
	format_value(unit, spread->most, most, sizeof(most));
	(void)snprintf(ret, size, "%s (%s..%s)", median, least, most);
}

static bool is_ratio(enum goal goal)
{
	return goal == GOAL_RATIO_AT_LEAST || goal == GOAL_RATIO_AT_MOST;
}

static void format_target(const struct row *row, enum goal goal, char ret[TARGET_TEXT_MAX])
{
	bool at_least = goal == GOAL_RATIO_AT_LEAST || goal == GOAL_VALUE_AT_LEAST;
	char value[32];

	if (goal == GOAL_NONE) {
		(void)snprintf(ret, TARGET_TEXT_MAX, "-");
		return;
	}
	if (is_ratio(goal))
		(void)snprintf(value, sizeof(value), "%.2f", row->target);
	else
		format_value(row->unit, row->target, value, sizeof(value));
	(void)snprintf(ret, TARGET_TEXT_MAX, "%s %s", at_least ? ">=" : "<=", value);
}

void row_target(const struct row *row, char ret[TARGET_TEXT_MAX])
{
	char target[TARGET_TEXT_MAX];

	format_target(row, row->goal, target);
	(void)snprintf(ret, TARGET_TEXT_MAX, "%s%.32s", is_ratio(row->goal) ? "ratio " : "",
		       target);
}

static void append_line(struct buf *out, const char *const cells[5])
{
	buf_printf(out, "%-20s  %-12s  %-6s  %-34s  %-34s  ", cells[0], cells[1], cells[2],
		   cells[3], cells[4]);
}

static void append_measure(struct buf *out, const struct measure *measure)
{
	char ratio[64] = "-", target[TARGET_TEXT_MAX], ours[128], theirs[128] = "-";
	struct spread spread = spread_of(measure->ours, measure->count);

	format_target(measure->row, measure->goal, target);
	format_spread(measure->row->unit, &spread, ours, sizeof(ours));
	if (measure->paired) {
		spread = spread_of(measure->theirs, measure->count);
		format_spread(measure->row->unit, &spread, theirs, sizeof(theirs));
		spread = ratio_of(measure);
		(void)snprintf(ratio, sizeof(ratio), "%.2f (%.2f..%.2f)", spread.median,
			       spread.least, spread.most);
	}
	append_line(out, (const char *const[]){ ratio, target,
						measure->goal == GOAL_NONE ? "-"
						: goal_met(measure)        ? "yes"
									   : "NO",
						ours, theirs });
	buf_printf(out, "%s%s%s\n", measure->row->name, measure->label[0] ? ": " : "",
		   measure->label);
}

/* What the lines say, once for those that say the same. */
static void append_legend(struct buf *out, const struct report *report)
{
	const struct measure *before = NULL;

	for (const struct measure *at = report->first; at; at = at->next) {
		if (!at->count || (before && before->row == at->row && before->what == at->what &&
				   before->limit == at->limit))
			continue;
		buf_printf(out, "%-12s%s\n            against: %s\n",
			   before && before->row == at->row ? "" : at->row->name, at->what,
			   at->limit);
		before = at;
	}
}

void report_table(const struct report *report, const struct machine *machine, struct buf *out)
{
	machine_text(machine, out);
	buf_append_byte(out, '\n');
	append_line(out,
		    (const char *const[]){ "ratio (min..max)", "target", "met",
					   "ours: median (min..max)", "limit: median (min..max)" });
	buf_append_str(out, "row\n");
	for (const struct measure *at = report->first; at; at = at->next)
		if (at->count)
			append_measure(out, at);
	buf_append_byte(out, '\n');
	append_legend(out, report);
	if (report->notes.len) {
		buf_append_byte(out, '\n');
		buf_append_slice(out, buf_slice(&report->notes));
	}
}

/* --- JSON ------------------------------------------------------------------------------------- */

static const char *const unit_names[] = {
	[UNIT_PER_SECOND] = "per_second",
	[UNIT_NANOSECONDS] = "ns",
	[UNIT_BYTES] = "bytes",
};

static const char *const goal_names[] = {
	[GOAL_NONE] = "none",
	[GOAL_RATIO_AT_LEAST] = "ratio_permille_at_least",
	[GOAL_RATIO_AT_MOST] = "ratio_permille_at_most",
	[GOAL_VALUE_AT_LEAST] = "value_at_least",
	[GOAL_VALUE_AT_MOST] = "value_at_most",
};

/* Values are never negative. */
static uint64_t rounded(double value)
{
	return (uint64_t)(value + 0.5);
}

static void json_spread(struct json *json, const char *key, struct spread spread, double factor)
{
	jsonw_key(json, key);
	jsonw_object(json);
	jsonw_pair_uint(json, "median", rounded(spread.median * factor));
	jsonw_pair_uint(json, "min", rounded(spread.least * factor));
	jsonw_pair_uint(json, "max", rounded(spread.most * factor));
	jsonw_end(json);
}

static void json_measure(struct json *json, const struct measure *measure)
{
	jsonw_object(json);
	jsonw_pair_string(json, "row", measure->row->name);
	jsonw_pair_string(json, "label", measure->label);
	jsonw_pair_string(json, "what", measure->what);
	jsonw_pair_string(json, "limit", measure->limit);
	jsonw_pair_string(json, "unit", unit_names[measure->row->unit]);
	jsonw_pair_uint(json, "runs", measure->count);
	if (measure->paired)
		json_spread(json, "ratio_permille", ratio_of(measure), 1000);
	json_spread(json, "ours", spread_of(measure->ours, measure->count), 1);
	if (measure->paired)
		json_spread(json, "theirs", spread_of(measure->theirs, measure->count), 1);
	jsonw_pair_string(json, "goal", goal_names[measure->goal]);
	if (measure->goal != GOAL_NONE) {
		jsonw_pair_uint(
			json, "target",
			rounded(measure->row->target * (is_ratio(measure->goal) ? 1000 : 1)));
		jsonw_pair_bool(json, "met", goal_met(measure));
	}
	jsonw_end(json);
}

void report_json(const struct report *report, const struct machine *machine, struct buf *out)
{
	struct json json;

	jsonw_init(&json, out);
	jsonw_object(&json);
	jsonw_pair_string(&json, "schema", "provenv/bench/v1");
	jsonw_key(&json, "machine");
	machine_json(machine, &json);
	jsonw_key(&json, "measures");
	jsonw_array(&json);
	for (const struct measure *at = report->first; at; at = at->next)
		if (at->count)
			json_measure(&json, at);
	jsonw_end(&json);
	jsonw_pair_slice(&json, "notes", buf_slice(&report->notes));
	jsonw_end(&json);
	buf_append_byte(out, '\n');
}
