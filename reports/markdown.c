#include "reports/markdown.h"

#include <inttypes.h>
#include <string.h>

#include "reports/cells.h"
#include "reports/console.h"

#define BY_SHOWN 3

/* What would end a cell or start a mark-up of its own. */
static void cell(struct buf *b, const char *s)
{
	for (s = s ? s : ""; *s; s++) {
		if (*s == '\n')
			buf_puts(b, " ");
		else if (strchr("|*_`<>\\[]", *s))
			buf_printf(b, "\\%c", *s);
		else
			buf_add(b, s, 1);
	}
}

static void put_table(const struct run_result *r, struct buf *b)
{
	char span[32];

	buf_puts(b, "| verdict | scenario | devices | time | |\n|---|---|--:|--:|---|\n");
	for (size_t i = 0; i < r->n; i++) {
		const struct scenario_result *s = r->scenarios[i];
		bool plain = s->verdict == VERDICT_PASS && !s->reason;

		console_duration(s->virtual_time ? s->duration_ns : s->wall_ns ? s->wall_ns : s->duration_ns, span,
				 sizeof(span));
		buf_printf(b, "| %s | ", verdict_name(s->verdict));
		cell(b, s->id);
		buf_printf(b, " | %u | %s%s | ", s->devices, s->verdict == VERDICT_SKIP ? "" : span,
			   s->virtual_time && s->verdict != VERDICT_SKIP ? "\\*" : "");
		cell(b, plain ? s->summary : s->reason);
		buf_puts(b, " |\n");
	}
}

static void put_failures(const struct scenario_result *s, struct buf *b)
{
	buf_puts(b, "\n### ");
	cell(b, s->id);
	buf_printf(b, "\n\n%s, blame: %s\n\n", verdict_name(s->verdict), blame_name(s->blame));
	for (size_t i = 0; i < s->checks_n; i++) {
		const struct check_result *c = &s->checks[i];

		if (c->status == CHECK_PASSED || (c->status == CHECK_UNJUDGED && c->kind == CHECK_INVARIANT))
			continue;
		buf_puts(b, "- ");
		if (c->at.file && c->at.file[0]) {
			cell(b, c->at.file);
			buf_printf(b, ":%d:%d ", c->at.line, c->at.column);
		}
		buf_puts(b, "expected ");
		cell(b, c->expected);
		if (c->note) {
			buf_puts(b, " — UNJUDGED: ");
			cell(b, c->note);
		}
		buf_puts(b, "\n");
		for (unsigned k = 0; k < c->causes_n; k++) {
			buf_puts(b, "  - got ");
			cell(b, c->causes[k].got);
			buf_printf(b, " (%u×, blame: %s", c->causes[k].count, blame_name(c->causes[k].blame));
			if (c->causes[k].why) {
				buf_puts(b, ", ");
				cell(b, c->causes[k].why);
			}
			buf_puts(b, ")\n");
		}
	}
}

/* The scenarios that took a row, the first few by name. */
static void put_by(const struct run_result *r, unsigned row, struct buf *b)
{
	unsigned shown = 0, more = 0;

	for (size_t i = 0; i < r->n; i++) {
		if (!r->scenarios[i]->rows[row])
			continue;
		if (shown == BY_SHOWN) {
			more++;
			continue;
		}
		buf_puts(b, shown++ ? ", " : "");
		cell(b, r->scenarios[i]->id);
	}
	if (more)
		buf_printf(b, ", %u more", more);
}

static void put_coverage(const struct run_result *r, struct buf *b)
{
	uint64_t rows[ROW_END];
	char name[CELL_NAME];
	unsigned rows_n, cells_n;

	rows_of_run(r, rows);
	rows_n = rows_hit(rows);
	cells_n = cells_hit(rows);
	buf_printf(b, "\n## Coverage\n\nTransitions %u of %u.%s", rows_n, ROW_END - 1,
		   rows_n < ROW_END - 1 ? " Nothing exercised:" : "");
	for (unsigned row = 1; row < ROW_END; row++)
		if (!rows[row])
			buf_printf(b, " `%s`", row_id((enum row_name)row));
	buf_printf(b, "\n\nState × reply cells %u of %u.%s", cells_n, cells_count(),
		   cells_n < cells_count() ? " Nothing exercised:" : "");
	for (unsigned i = 0; i < cells_count(); i++)
		if (!cells_get(rows, i, name))
			buf_printf(b, " `%s`", name);
	buf_puts(b, "\n\n| scenario | rows | cells |\n|---|--:|--:|\n");
	for (size_t i = 0; i < r->n; i++) {
		if (r->scenarios[i]->verdict == VERDICT_SKIP)
			continue;
		buf_puts(b, "| ");
		cell(b, r->scenarios[i]->id);
		buf_printf(b, " | %u | %u |\n", rows_hit(r->scenarios[i]->rows), cells_hit(r->scenarios[i]->rows));
	}
	buf_puts(b, "\n| row | times | by |\n|---|--:|---|\n");
	for (unsigned row = 1; row < ROW_END; row++) {
		if (!rows[row])
			continue;
		buf_printf(b, "| `%s` | %" PRIu64 " | ", row_id((enum row_name)row), rows[row]);
		put_by(r, row, b);
		buf_puts(b, " |\n");
	}
	buf_puts(b, "\n| cell | times |\n|---|--:|\n");
	for (unsigned i = 0; i < cells_count(); i++) {
		uint64_t n = cells_get(rows, i, name);

		if (n)
			buf_printf(b, "| `%s` | %" PRIu64 " |\n", name, n);
	}
}

int report_markdown(const struct run_result *r, struct buf *b)
{
	uint64_t issued = 0, submitted = 0, delivered = 0, injected = 0, told = 0, unexplained = 0;
	char hash[65];

	buf_puts(b, "# quicrig\n\n");
	for (unsigned v = 0; v < VERDICT_COUNT; v++)
		if (run_result_count(r, (enum verdict)v))
			buf_printf(b, "%s %u · ", verdict_name((enum verdict)v), run_result_count(r, (enum verdict)v));
	buf_puts(b, "rig ");
	cell(b, r->rig);
	buf_puts(b, " · seed ");
	cell(b, r->seed);
	buf_puts(b, " · build ");
	cell(b, r->build);
	buf_printf(b, "%s\n\n", r->interrupted ? " · interrupted" : "");
	put_table(r, b);
	for (size_t i = 0; i < r->n; i++) {
		const struct scenario_result *s = r->scenarios[i];

		issued += s->sms.issued;
		submitted += s->sms.submitted;
		delivered += s->sms.delivered;
		injected += s->sms.injected;
		told += s->sms.told;
		unexplained += s->sms.unexplained;
		if (s->verdict != VERDICT_PASS && s->verdict != VERDICT_SKIP && s->verdict != VERDICT_XFAIL)
			put_failures(s, b);
	}
	buf_printf(b, "\nSMS submitted%s %" PRIu64 ", codes issued %" PRIu64 ", SMS delivered %" PRIu64 ".\n",
		   r->libgammu ? " through libgammu" : "", submitted, issued, delivered);
	if (injected || told || unexplained)
		buf_printf(b, "They are apart by %" PRIu64 ": %" PRIu64 " by injected faults, %" PRIu64
			   " lost, failed, unknown or taken back, %" PRIu64 " unexplained.\n",
			   injected + told + unexplained, injected, told, unexplained);
	run_result_sha256(r, hash);
	if (hash[0])
		buf_printf(b, "\nJournal SHA-256 `%s`.\n", hash);
	put_coverage(r, b);
	return b->failed;
}
