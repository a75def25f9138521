#include "hil/run/judging.h"

#include <stdlib.h>

#include <gnutls/crypto.h>

#include "core/hash.h"
#include "hil/judge/oracle.h"
#include "hil/run/control.h"

struct judging {
	struct oracle *oracle;
	gnutls_hash_hd_t hash;
	size_t events;
	const char *server_died;
};

struct judging *judging_new(json_t *plan, bool allow_unjudged, const char *today, struct err *e)
{
	struct oracle_options opt = {.allow_unjudged = allow_unjudged, .today = today};
	struct judging *j = calloc(1, sizeof(*j));

	if (!j) {
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	j->oracle = oracle_new(plan, &opt, e);
	if (!j->oracle || gnutls_hash_init(&j->hash, GNUTLS_DIG_SHA256)) {
		if (!e->code)
			err_set(e, ERR_NOMEM, "out of memory");
		judging_free(j);
		return NULL;
	}
	return j;
}

void judging_free(struct judging *j)
{
	if (!j)
		return;
	if (j->hash)
		gnutls_hash_deinit(j->hash, NULL);
	oracle_free(j->oracle);
	free(j);
}

void judging_event(struct judging *j, const struct journal_event *ev, const char *line, size_t len)
{
	if (len && line[len - 1] == '\n')
		len--;
	gnutls_hash(j->hash, line, len);
	gnutls_hash(j->hash, "\n", 1);
	oracle_line(j->oracle, line, len);
	oracle_event(j->oracle, ev);
	j->events++;
}

void judging_server_died(struct judging *j, const char *why)
{
	j->server_died = why[0] ? why : NULL;
}

static void not_judged(struct scenario_result *out, const char *why)
{
	scenario_note(out, "cannot be judged: %s", why);
	out->verdict = VERDICT_INCONCLUSIVE;
	out->blame = BLAME_HARNESS;
}

void judging_finish(struct judging *j, const char *end, const char *harness, struct scenario_result *out)
{
	struct oracle_end oe = {.harness = harness[0] ? harness : NULL,
				.server_died = j->server_died,
				.why = end[0] ? end : "the rig ended early"};

	/* what was not judged has not passed */
	if (oracle_finish(j->oracle, &oe, out))
		not_judged(out, "out of memory");
}

size_t judging_events(const struct judging *j)
{
	return j->events;
}

void judging_sha256(struct judging *j, char out[65])
{
	uint8_t digest[HASH_SIZE];

	gnutls_hash_output(j->hash, digest);
	hash_hex(digest, HASH_SIZE, out);
}

json_t *judging_lives(const struct judging *j)
{
	return oracle_lives(j->oracle);
}

/* All of a tape; why the harness is to blame, or what the job says of it. */
static const char *feed(struct judging *j, const struct job *job)
{
	const char *harness = job->harness;
	struct buf line;

	buf_init(&line, 4 * JOURNAL_LINE_MAX);
	for (size_t i = 0; i < tape_count(job->tape); i++) {
		const struct journal_event *ev = tape_at(job->tape, i);

		buf_reset(&line);
		if (!journal_format(ev, &line))
			judging_event(j, ev, line.data, line.len);
		else if (!harness[0])
			harness = "a journal line could not be written";
	}
	buf_fini(&line);
	judging_server_died(j, job->server_died);
	return harness;
}

void judge_job(const struct job *job, bool allow_unjudged, const char *today, struct scenario_result *out)
{
	struct err e = {0};
	struct judging *j = judging_new(job->plan, allow_unjudged, today, &e);
	const char *harness;

	if (!j) {
		not_judged(out, e.text);
		return;
	}
	harness = feed(j, job);
	judging_finish(j, job->end, harness, out);
	judging_sha256(j, out->journal_sha256);
	judging_free(j);
}

int judge_control(const struct job *job, const char *today, json_t *plan)
{
	struct scenario_result s = {0};
	struct err e = {0};
	struct judging *j = judging_new(job->plan, true, today, &e);
	const char *harness;
	json_t *lives;
	int rv;

	if (!j)
		return e.code;
	harness = feed(j, job);
	lives = judging_lives(j);
	judging_finish(j, job->end, harness, &s);
	judging_free(j);
	rv = lives ? control_take(plan, &s, lives) : ERR_NOMEM;
	scenario_result_fini(&s);
	return rv;
}
