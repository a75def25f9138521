#include "reports/console.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "reports/cells.h"

#define ID_WIDTH_MIN 24
#define ID_WIDTH_MAX 48
#define CHECKS_SHOWN 10
#define PLACE_MAX    160
#define WIDTH_MIN    40 /* a narrower screen wraps by itself */
#define LABEL_INDENT 5
#define TOTALS_INDENT 2
#define BY_SHOWN     3

struct console {
	FILE *out; /* borrowed */
	bool colored, tty;
	int id_width;
	int width; /* columns of the screen; 0: lines are as long as they are */
	bool footnoted; /* "* virtual time" was explained */
	bool progress;  /* a progress line stands there */
};

static const struct {
	const char *word, *color;
} faces[VERDICT_COUNT] = {
	[VERDICT_PASS] = {"PASS", "\033[32m"},          [VERDICT_FAIL] = {"FAIL", "\033[1;31m"},
	[VERDICT_INCONCLUSIVE] = {"INC?", "\033[33m"},  [VERDICT_SKIP] = {"SKIP", "\033[2m"},
	[VERDICT_XFAIL] = {"XFAIL", "\033[2m"},         [VERDICT_XPASS] = {"XPASS", "\033[1;31m"},
	[VERDICT_QUARANTINE] = {"QUAR", "\033[33m"},
};

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

/* A terminal's own; of anything else what COLUMNS says, which a shell does not export by itself. */
static int screen_width(FILE *out, bool tty)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	int width = 0;

	if (columns)
		width = atoi(columns);
	else if (tty && ioctl(fileno(out), TIOCGWINSZ, &size) == 0)
		width = size.ws_col;
	return width >= WIDTH_MIN ? width : 0;
}

struct console *console_new(FILE *out, int id_width, enum console_color color)
{
	const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
	struct console *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->out = out;
	c->tty = isatty(fileno(out)) == 1 && !(term && strcmp(term, "dumb") == 0);
	c->width = screen_width(out, c->tty);
	c->colored = color == CONSOLE_COLORED ||
		     (color == CONSOLE_AUTO && c->tty && !(no_color && no_color[0]));
	c->id_width = id_width < ID_WIDTH_MIN ? ID_WIDTH_MIN : id_width > ID_WIDTH_MAX ? ID_WIDTH_MAX : id_width;
	return c;
}

void console_free(struct console *c)
{
	free(c);
}

char *console_duration(uint64_t ns, char *out, size_t size)
{
	double s = (double)ns / 1e9;

	if (s < 0.0995)
		snprintf(out, size, "%.0f ms", s * 1e3);
	else if (s < 9.95)
		snprintf(out, size, "%.1f s", s);
	else if (s < 120)
		snprintf(out, size, "%.0f s", s);
	else if (s < 7200)
		snprintf(out, size, "%.0f min", s / 60);
	else if (s < 2 * 86400)
		snprintf(out, size, "%.1f h", s / 3600);
	else
		snprintf(out, size, "%.1f d", s / 86400);
	return out;
}

static void clear_progress(struct console *c)
{
	if (c->progress)
		fputs("\r\033[K", c->out);
	c->progress = false;
}

void console_progress(struct console *c, const char *text)
{
	if (!c->tty)
		return;
	fprintf(c->out, "\r\033[K %s", text);
	fflush(c->out);
	c->progress = true;
}

/* ---- lines no wider than the screen ---- */

/* Characters, not bytes: all that is printed here is one column wide. */
static int columns(const char *text, size_t len)
{
	int n = 0;

	for (size_t i = 0; i < len; i++)
		n += ((unsigned char)text[i] & 0xC0) != 0x80;
	return n;
}

/* How much of `text` fits into `room` columns, broken between words where that is possible. */
static size_t piece(const char *text, int room)
{
	size_t end = 0, space = 0;
	int n = 0;

	while (text[end]) {
		if (((unsigned char)text[end] & 0xC0) != 0x80 && n++ == room)
			return space ? space : end;
		if (text[end] == ' ' && strspn(text, " ") < end)
			space = end;
		end++;
	}
	return end;
}

static void say(struct console *c, int indent, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* One line; what does not fit stands under it, `indent` columns in. */
static void say(struct console *c, int indent, const char *fmt, ...)
{
	char *text = NULL;
	const char *p;
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	if (!text)
		return;
	p = text;
	n = c->width ? piece(p, c->width) : strlen(p);
	fprintf(c->out, "%.*s\n", (int)n, p);
	while (p[n]) {
		p += n;
		p += strspn(p, " ");
		n = piece(p, c->width - indent);
		fprintf(c->out, "%*s%.*s\n", indent, "", (int)n, p);
	}
	free(text);
}

/* What is printed between the two becomes one `say`; nothing, no line. */
struct line {
	FILE *out;
	char *text;
	size_t len;
};

static void line_begin(struct console *c, struct line *l)
{
	*l = (struct line){.out = c->out};
	c->out = open_memstream(&l->text, &l->len);
	if (!c->out)
		c->out = l->out; /* out of memory: it is as long as it is */
}

static void line_end(struct console *c, struct line *l, int indent)
{
	if (c->out == l->out) {
		fputc('\n', c->out);
		return;
	}
	fclose(c->out);
	c->out = l->out;
	if (l->len)
		say(c, indent, "%s", l->text);
	free(l->text);
}

static const char *place_text(const struct check_result *k, char *out, size_t size)
{
	if (k->at.file && k->at.file[0])
		snprintf(out, size, "%s:%d:%d", k->at.file, k->at.line, k->at.column);
	else
		snprintf(out, size, "%s", or_empty(k->name));
	return out;
}

/* `label` is where "expected" and "got" begin. */
static void put_cause(struct console *c, const struct scenario_result *s, const struct cause *k, int label)
{
	char at[48] = "", who[80] = "";

	if (k->t != TIME_NEVER)
		snprintf(at, sizeof(at), " at +%" PRIu64 ".%03" PRIu64 " s", k->t / NS_PER_S, k->t % NS_PER_S / NS_PER_MS);
	if (k->count > 1)
		snprintf(who, sizeof(who), " (%u times%s%s)", k->count, k->first ? ", first " : "", or_empty(k->first));
	else if (k->first && s->devices > 1)
		snprintf(who, sizeof(who), " (%s)", k->first);
	if (label == LABEL_INDENT)
		say(c, label + 9, "%*s%-8s %s%s%s", label, "", "got", or_empty(k->got), at, who);
	else
		say(c, label + 9, "   %-*s  %s%s%s", label - 5, "got", or_empty(k->got), at, who);
}

static bool same_blame(const struct cause *a, const struct cause *b)
{
	return a->blame == b->blame && strcmp(or_empty(a->why), or_empty(b->why)) == 0;
}

static void put_check(struct console *c, const struct scenario_result *s, const struct check_result *k)
{
	char place[PLACE_MAX];
	int label;

	place_text(k, place, sizeof(place));
	label = columns(place, strlen(place)) + 5;
	if (k->status == CHECK_UNJUDGED) {
		say(c, LABEL_INDENT, "   %s  UNJUDGED %s (%s)", place, or_empty(k->expected), or_empty(k->note));
		return;
	}
	/* a long place leaves no room beside it */
	if (c->width && label > c->width / 2) {
		label = LABEL_INDENT;
		say(c, label, "   %s", place);
		say(c, label + 9, "%*sexpected %s", label, "", or_empty(k->expected));
	} else {
		say(c, label + 9, "   %s  expected %s", place, or_empty(k->expected));
	}
	for (unsigned i = 0; i < k->causes_n; i++)
		put_cause(c, s, &k->causes[i], label);
	if (k->causes_more)
		say(c, label + 9, "%*s… and %u more", label + (label == LABEL_INDENT ? 9 : 0), "", k->causes_more);
	for (unsigned i = 0; i < k->causes_n; i++) {
		bool said = false;

		for (unsigned j = 0; j < i; j++)
			said = said || same_blame(&k->causes[i], &k->causes[j]);
		if (said)
			continue;
		say(c, 10, k->causes[i].why ? "   blame: %s (%s)" : "   blame: %s%s", blame_name(k->causes[i].blame),
		    or_empty(k->causes[i].why));
	}
}

/* An invariant's finding that an expectation above was already laid to. */
static bool told_above(const struct scenario_result *s, size_t at)
{
	const struct check_result *k = &s->checks[at];

	if (k->kind != CHECK_INVARIANT || k->causes_more)
		return false;
	for (unsigned i = 0; i < k->causes_n; i++) {
		bool found = false;

		for (size_t c = 0; c < at && !found; c++)
			for (unsigned j = 0; j < s->checks[c].causes_n && !found; j++)
				found = s->checks[c].causes[j].why &&
					strcmp(s->checks[c].causes[j].why, or_empty(k->causes[i].got)) == 0;
		if (!found)
			return false;
	}
	return true;
}

static void put_block(struct console *c, const struct scenario_result *s)
{
	unsigned shown = 0, hidden = 0;

	for (size_t i = 0; i < s->checks_n; i++) {
		const struct check_result *k = &s->checks[i];
		bool unjudged = k->status == CHECK_UNJUDGED && k->kind != CHECK_INVARIANT;

		if ((k->status != CHECK_FAILED && !unjudged) || told_above(s, i))
			continue;
		if (shown == CHECKS_SHOWN) {
			hidden++;
			continue;
		}
		shown++;
		put_check(c, s, k);
	}
	if (hidden)
		say(c, LABEL_INDENT, "   … and %u more checks, see report.json", hidden);
	if (s->folder)
		fprintf(c->out, "   replay: quicrig replay %s%s\n", s->virtual_time ? "" : "--lift ", s->folder);
}

/* Behind the verdict: what there is no room for stands in the next line. */
static void put_row(struct console *c, const char *id, const char *devices, const char *span, const char *tail)
{
	int used = 7 + (columns(id, strlen(id)) > c->id_width ? columns(id, strlen(id)) : c->id_width) + 1 + 12 + 1 + 8 + 1;

	fprintf(c->out, " %-*s %-12s", c->id_width, id, devices);
	if (!c->width || used + columns(tail, strlen(tail)) <= c->width) {
		fprintf(c->out, " %-8s %s\n", span, tail);
		return;
	}
	fprintf(c->out, " %s\n", span);
	if (tail[0])
		say(c, 7, "       %s", tail);
}

void console_scenario(struct console *c, const struct scenario_result *s)
{
	bool bad = s->verdict == VERDICT_FAIL || s->verdict == VERDICT_INCONCLUSIVE || s->verdict == VERDICT_XPASS;
	char span[32], wall[32], devices[32], note[96] = "";
	const char *tail = note;

	clear_progress(c);
	if (s->verdict == VERDICT_SKIP) /* counted, with its reason, at the end */
		return;
	console_duration(s->virtual_time ? s->duration_ns : s->wall_ns ? s->wall_ns : s->duration_ns, span,
			 sizeof(span) - 1);
	if (s->virtual_time) {
		strcat(span, "*");
		snprintf(note, sizeof(note), "* virtual time; %s of wall clock",
			 console_duration(s->wall_ns, wall, sizeof(wall)));
	}
	snprintf(devices, sizeof(devices), "%u device%s", s->devices, s->devices == 1 ? "" : "s");
	if (bad && s->virtual_time)
		c->footnoted = true;
	else
		tail = s->reason && (s->verdict == VERDICT_XFAIL || s->verdict == VERDICT_QUARANTINE) ? s->reason : s->summary;
	fprintf(c->out, " %s%-5s%s", c->colored ? faces[s->verdict].color : "", faces[s->verdict].word,
		c->colored ? "\033[0m" : "");
	put_row(c, or_empty(s->id), devices, span, or_empty(tail));
	if (bad)
		put_block(c, s);
	if (bad && s->reason && (s->verdict == VERDICT_XPASS || !s->checks_n))
		say(c, LABEL_INDENT, "   %s", s->reason);
	for (size_t i = 0; i < s->notes_n; i++)
		say(c, 9, "   note: %s", s->notes[i]);
	fflush(c->out);
}

static void put_verdicts(struct console *c, const struct run_result *r)
{
	static const char *const words[VERDICT_COUNT] = {"passed", "failed", "inconclusive", "skipped",
							  "failed as expected", "passed unexpectedly", "in quarantine"};
	const char *sep = "";
	unsigned skipped = run_result_count(r, VERDICT_SKIP);

	fprintf(c->out, "%zu run: ", r->n - skipped);
	for (unsigned v = 0; v < VERDICT_COUNT; v++) {
		unsigned n = run_result_count(r, (enum verdict)v);

		if (!n)
			continue;
		fprintf(c->out, "%s%u %s", sep, n, words[v]);
		sep = ", ";
	}
	if (!sep[0])
		fputs("nothing", c->out);
}

/* One line a reason, with how many were skipped for it and the first one's id. */
static void put_skipped(struct console *c, const struct run_result *r)
{
	for (size_t i = 0; i < r->n; i++) {
		const char *reason = or_empty(r->scenarios[i]->reason);
		unsigned same = 0;
		bool said = false;

		if (r->scenarios[i]->verdict != VERDICT_SKIP)
			continue;
		for (size_t k = 0; k < r->n; k++) {
			if (r->scenarios[k]->verdict != VERDICT_SKIP || strcmp(or_empty(r->scenarios[k]->reason), reason) != 0)
				continue;
			said = said || k < i;
			same++;
		}
		if (!said)
			fprintf(c->out, "skipped %u (%s%s): %s\n", same, or_empty(r->scenarios[i]->id),
				same > 1 ? ", …" : "", reason);
	}
}

/* Whoever asked for faults wants to see that nothing else is missing. */
static void put_sms_apart(struct console *c, uint64_t injected, uint64_t told, uint64_t unexplained)
{
	const char *sep = " (apart: ";

	if (injected) {
		fprintf(c->out, "%s%" PRIu64 " by injected faults", sep, injected);
		sep = ", ";
	}
	if (told) {
		fprintf(c->out, "%s%" PRIu64 " lost, failed, unknown or taken back", sep, told);
		sep = ", ";
	}
	if (unexplained) {
		fprintf(c->out, "%s%" PRIu64 " unexplained", sep, unexplained);
		sep = ", ";
	}
	if (*sep == ',')
		fputc(')', c->out);
}

static void put_sms(struct console *c, const struct run_result *r)
{
	uint64_t issued = 0, submitted = 0, delivered = 0, injected = 0, told = 0, unexplained = 0;
	const char *differs;

	for (size_t i = 0; i < r->n; i++) {
		const struct scenario_result *s = r->scenarios[i];

		issued += s->sms.issued;
		submitted += s->sms.submitted;
		delivered += s->sms.delivered;
		injected += s->sms.injected;
		told += s->sms.told;
		unexplained += s->sms.unexplained;
	}
	if (!issued && !submitted)
		return;
	differs = unexplained ? "≠" : "·";
	fprintf(c->out, "SMS submitted%s %" PRIu64 " %s codes issued %" PRIu64 " %s SMS delivered %" PRIu64,
		r->libgammu ? " through libgammu" : "", submitted, submitted == issued ? "=" : differs, issued,
		issued == delivered ? "=" : differs, delivered);
	put_sms_apart(c, injected, told, unexplained);
	fputc('\n', c->out);
}

void console_end(struct console *c, const struct run_result *r)
{
	uint64_t wall = 0, rows[ROW_END];
	bool any_virtual = false;
	char span[32], hash[65];
	struct line l;

	clear_progress(c);
	rows_of_run(r, rows);
	for (size_t i = 0; i < r->n; i++) {
		wall += r->scenarios[i]->wall_ns;
		any_virtual = any_virtual || (r->scenarios[i]->virtual_time && r->scenarios[i]->verdict != VERDICT_SKIP);
	}
	if (any_virtual && !c->footnoted)
		fprintf(c->out, " * virtual time; %s of wall clock\n", console_duration(wall, span, sizeof(span)));
	line_begin(c, &l);
	put_verdicts(c, r);
	fprintf(c->out, " · transitions %u of %u · cells %u of %u", rows_hit(rows), ROW_END - 1, cells_hit(rows),
		cells_count());
	if (r->seed)
		fprintf(c->out, " · seed %s", r->seed);
	if (r->dir)
		fprintf(c->out, " · %s/summary.md", r->dir);
	if (r->interrupted)
		fputs(" · interrupted", c->out);
	line_end(c, &l, TOTALS_INDENT);
	put_sms(c, r);
	if (run_result_unjudged(r))
		fprintf(c->out, "invariants that nobody could judge: %u (report.json says which, and why)\n",
			run_result_unjudged(r));
	run_result_sha256(r, hash);
	if (hash[0])
		fprintf(c->out, "journal SHA-256 %s\n", hash);
	put_skipped(c, r);
	fflush(c->out);
}

/* The scenarios that took a row, the first few by name. */
static void put_by(struct console *c, const struct run_result *r, unsigned row)
{
	unsigned more = 0, shown = 0;

	for (size_t i = 0; i < r->n; i++) {
		if (!r->scenarios[i]->rows[row])
			continue;
		if (shown == BY_SHOWN)
			more++;
		else
			fprintf(c->out, "%s%s", shown++ ? ", " : "", or_empty(r->scenarios[i]->id));
	}
	if (more)
		fprintf(c->out, ", %u more", more);
}

void console_coverage(struct console *c, const struct run_result *r)
{
	uint64_t rows[ROW_END];
	char name[CELL_NAME];

	rows_of_run(r, rows);
	for (size_t i = 0; i < r->n; i++)
		if (r->scenarios[i]->verdict != VERDICT_SKIP)
			fprintf(c->out, " %-*s rows %2u, cells %2u\n", c->id_width, or_empty(r->scenarios[i]->id),
				rows_hit(r->scenarios[i]->rows), cells_hit(r->scenarios[i]->rows));
	for (unsigned row = 1; row < ROW_END; row++) {
		fprintf(c->out, " %-14s %8" PRIu64 "  ", row_id((enum row_name)row), rows[row]);
		put_by(c, r, row);
		fputs(rows[row] ? "\n" : "never\n", c->out);
	}
	for (unsigned i = 0; i < cells_count(); i++) {
		uint64_t n = cells_get(rows, i, name);

		fprintf(c->out, " %-20s %8" PRIu64 "%s\n", name, n, n ? "" : "  never");
	}
	fflush(c->out);
}

unsigned console_missing(struct console *c, const struct run_result *r)
{
	uint64_t rows[ROW_END];
	char name[CELL_NAME];
	unsigned n = 0, k = 0;
	struct line l;

	rows_of_run(r, rows);
	line_begin(c, &l);
	for (unsigned row = 1; row < ROW_END; row++)
		if (!rows[row])
			fprintf(c->out, "%s%s", n++ ? " " : "rows that nothing exercised: ", row_id((enum row_name)row));
	line_end(c, &l, TOTALS_INDENT);
	line_begin(c, &l);
	for (unsigned i = 0; i < cells_count(); i++)
		if (!cells_get(rows, i, name))
			fprintf(c->out, "%s%s", k++ ? ", " : "cells that nothing exercised: ", name);
	line_end(c, &l, TOTALS_INDENT);
	fflush(c->out);
	return n + k;
}
