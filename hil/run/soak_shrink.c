/* Each new failure of a soak as a small scenario, beside the folder that replays. */
#include "hil/run/soak_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hil/language/scenario_write.h"
#include "hil/run/shrink.h"
#include "hil/run/shrink_moves.h"

#define SHRUNK_MAX 10 /* failures; a build that broke everything breaks one thing */

static int write_file(const char *path, const struct buf *text)
{
	FILE *f = fopen(path, "we");
	int bad;

	if (!f)
		return ERR_IO;
	bad = fwrite(text->data, 1, text->len, f) != text->len;
	bad |= fclose(f);
	return bad ? ERR_IO : 0;
}

static int write_shrunk(struct soak_finding *f, const struct shrink_result *r, struct err *e)
{
	char comment[SIGNATURE_TEXT_MAX + 400], xfail[200], path[PATH_MAX];
	struct buf text;
	int rv;

	if (snprintf(path, sizeof(path), "%s/shrunk.yaml", f->folder) >= (int)sizeof(path))
		return err_set(e, ERR_LIMIT, "path too long");
	signature_xfail(&r->signature, xfail, sizeof(xfail));
	snprintf(comment, sizeof(comment),
		 "Shrunk from a soak's seed 0x%llx%s.\nIt failed with %s\nTo know it until it is mended: %s",
		 (unsigned long long)f->first_seed, r->complete ? "" : ", as far as there was time", r->signature.text, xfail);
	buf_init(&text, SCENARIO_TEXT_MAX);
	rv = scenario_write(r->plan, comment, &text, e);
	if (!rv && write_file(path, &text))
		rv = err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
	buf_fini(&text);
	if (rv)
		return rv;
	memcpy(f->shrunk, path, sizeof(path));
	f->shrunk_devices = (unsigned)shrink_devices(r->plan);
	return 0;
}

static int shrink_one(struct soak *s, struct soak_finding *f, struct err *e)
{
	double left = soak_left(s);
	struct shrink_options o = {.program = s->o->program,
				   .plant = s->o->plant,
				   .jobs = s->o->jobs,
				   .wall_s = left > 0 && left < s->o->shrink_s ? left : s->o->shrink_s};
	struct shrink_result r = {0};
	char path[PATH_MAX];
	json_t *plan = NULL;
	int rv;

	if (snprintf(path, sizeof(path), "%s/plan.json", f->folder) < (int)sizeof(path))
		plan = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
	if (!plan)
		return err_set(e, ERR_IO, "%s/plan.json cannot be read", f->folder);
	rv = shrink_run(plan, &o, &r, e);
	if (!rv)
		rv = write_shrunk(f, &r, e);
	if (r.signal_number)
		s->signal_number = r.signal_number;
	shrink_result_fini(&r);
	json_decref(plan);
	return rv;
}

void soak_shrink(struct soak *s)
{
	unsigned shrunk = 0;

	for (unsigned i = 0; i < s->findings_n; i++) {
		struct soak_finding *f = s->findings[i];
		struct err e = {0};
		int rv;

		/* what the rig itself failed at has no smaller scenario, nor what needs time to grow */
		if (f->status != SOAK_NEW || f->verdict != VERDICT_FAIL || !f->folder[0] ||
		    strcmp(f->signature.id, SOAK_MEMORY_ID) == 0)
			continue;
		if (s->cut || s->signal_number || shrunk++ >= SHRUNK_MAX || (s->o->wall_s > 0 && soak_left(s) < 1)) {
			rv = err_set(&e, ERR_CLOSED, "there was no time: quicrig shrink %.100s", f->folder);
		} else {
			fprintf(stderr, "soak: making %s small, for at most %.0f s\n", f->signature.id, s->o->shrink_s);
			rv = shrink_one(s, f, &e);
		}
		if (rv && !f->note[0])
			snprintf(f->note, sizeof(f->note), "not shrunk: %.*s", (int)sizeof(f->note) - 20, e.text);
	}
}
