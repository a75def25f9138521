#include "hil/run/replay.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hil/judge/diff.h"
#include "hil/judge/verdict.h"
#include "hil/run/trial.h"
#include "reports/narrative.h"

#define TEXT_MAX (64 * 1024)

/* ---- whom it is about ---- */

static int unknown_device(const struct recording *r, const char *who, struct err *e)
{
	char some[200] = "";
	unsigned n = 0;

	for (size_t i = 0; i < tape_count(r->tape); i++) {
		const struct journal_event *ev = tape_at(r->tape, i);
		size_t len = strlen(some);

		if (ev->kind != J_DEVICE_ADDED)
			continue;
		n++;
		if (len < 150)
			snprintf(some + len, sizeof(some) - len, "%s%s", len ? ", " : "", journal_text(ev, JF_LABEL));
	}
	if (!n)
		return err_set(e, ERR_NOTFOUND, "%s: no device joined before the recording ended", r->dir);
	return err_set(e, ERR_NOTFOUND, "%s: no device '%s'; of %u there are %s%s", r->dir, who, n, some,
		       strlen(some) >= 150 ? ", …" : "");
}

int replay_find_device(const struct recording *r, const char *who, struct replay_device *out, struct err *e)
{
	for (size_t i = 0; i < tape_count(r->tape); i++) {
		const struct journal_event *ev = tape_at(r->tape, i);
		const char *label = journal_text(ev, JF_LABEL);

		if (ev->kind != J_DEVICE_ADDED || !ev->dev)
			continue;
		if (who && strcmp(who, ev->dev) != 0 && strcmp(who, label) != 0)
			continue;
		out->uuid = ev->dev;
		out->label = label;
		return 0;
	}
	return unknown_device(r, who ? who : "", e);
}

void replay_story(const struct recording *r, const struct replay_device *d)
{
	time_ns zero = tape_at(r->tape, 0)->t;
	struct buf line;

	printf("%s: %s (%s) on the %s rig, %s\n", r->id, d->label, d->uuid, r->rig, verdict_name(r->verdict));
	buf_init(&line, TEXT_MAX);
	for (size_t i = 0; i < tape_count(r->tape); i++) {
		const struct journal_event *ev = tape_at(r->tape, i);

		if (!narrative_has(ev, d->uuid))
			continue;
		buf_reset(&line);
		if (!narrative_line(ev, zero, &line) && line.len)
			fputs(line.data, stdout);
	}
	buf_fini(&line);
}

/* ---- again ---- */

static const struct journal_event *of_tape(const void *ctx, size_t i)
{
	return tape_at(ctx, i);
}

static void say_build(const struct recording *r)
{
	const char *now = recording_build(true);

	if (strcmp(now, r->build) == 0)
		printf("  build: the same (%s)\n", now);
	else
		printf("  build: recorded by %s, this is %s\n", r->build, now);
}

static void say_tampered(const struct recording *r)
{
	char hash[65];

	tape_sha256(r->tape, hash);
	if (strcmp(hash, r->sha256) != 0)
		printf("  note: journal.jsonl was changed since it was written (SHA-256 %.12s…, was %.12s…)\n", hash,
		       r->sha256);
}

static int compare(const struct recording *r, const struct trial *t)
{
	struct diff_side was = {"recorded", tape_count(r->tape), of_tape, r->tape};
	struct diff_side now = {"now", tape_count(t->tape), of_tape, t->tape};
	bool same_verdict = r->verdict == t->result->verdict;
	struct buf text;
	struct diff d;

	diff_find(&was, &now, &d);
	if (d.ends && was.n < now.n && r->harness[0]) {
		printf("%s: alike as far as it was recorded, %zu events; it was cut short: %s\n", r->id, was.n, r->harness);
		return EXIT_INCONCLUSIVE;
	}
	if (d.alike && same_verdict) {
		printf("%s: alike, %zu event%s, SHA-256 %s, same verdict (%s)\n", r->id, was.n, was.n == 1 ? "" : "s",
		       t->hash, verdict_name(r->verdict));
		return EXIT_PASSED;
	}
	if (d.alike) {
		printf("%s: alike, %zu events, SHA-256 %s, but judged otherwise\n", r->id, was.n, t->hash);
	} else {
		printf("%s: different from event %zu on (of %zu recorded, %zu now)\n", r->id, d.at + 1, was.n, now.n);
		buf_init(&text, TEXT_MAX);
		if (!diff_text(&d, &was, &now, &text) && text.len)
			fputs(text.data, stdout);
		buf_fini(&text);
	}
	printf("  verdict: %s, now %s%s%s\n", verdict_name(r->verdict), verdict_name(t->result->verdict),
	       t->result->reason ? ": " : "", t->result->reason ? t->result->reason : "");
	say_build(r);
	say_tampered(r);
	return EXIT_FAILED;
}

int replay_again(const struct recording *r)
{
	struct err e = {0};
	/* a planted bug is in the test program alone (docs/plan.md, `plant`) */
	bool planted = json_object_get(r->plan, "plant") != NULL;
	int signal_number = 0;
	struct trial *t = trial_once_or_signal(r->plan, planted ? "quicrig-prove" : NULL, true, &signal_number, &e);
	char text[800];
	int code;

	if (!t) {
		fprintf(stderr, "quicrig replay: error: %s\n", err_format(&e, text, sizeof(text)));
		return signal_number ? 128 + signal_number : EXIT_ENVIRONMENT;
	}
	if (!t->hash[0]) {
		fprintf(stderr, "quicrig replay: error: the virtual rig failed: %s\n",
			t->result->reason ? t->result->reason : "?");
		code = EXIT_ENVIRONMENT;
	} else {
		code = compare(r, t);
	}
	trial_free(t);
	return code;
}
