#include "hil/run/prove.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/time.h"
#include "hil/judge/signature.h"
#include "hil/language/select.h"
#include "hil/run/proc.h"
#include "hil/run/trial.h"

#define BUG_WALL_NS (20 * NS_PER_S) /* of one planted trial: a bug may make it spin */

/* ---- the bugs that there are ---- */

static FILE *ask(pid_t *pid, struct err *e)
{
	const char *path = proc_sibling(PROVE_PROGRAM);
	FILE *f;
	int fd[2];

	if (access(path, X_OK)) {
		err_set(e, ERR_ENVIRONMENT,
			PROVE_PROGRAM " does not stand beside quicrig: build it (make build)");
		return NULL;
	}
	if (pipe2(fd, O_CLOEXEC)) {
		err_set(e, ERR_ENVIRONMENT, "no pipe");
		return NULL;
	}
	*pid = fork();
	if (*pid == 0) {
		dup2(fd[1], STDOUT_FILENO);
		execl(path, path, "--list", (char *)NULL);
		_exit(127);
	}
	close(fd[1]);
	if (*pid < 0) {
		close(fd[0]);
		err_set(e, ERR_ENVIRONMENT, "cannot start " PROVE_PROGRAM);
		return NULL;
	}
	f = fdopen(fd[0], "re");
	if (!f) {
		close(fd[0]); /* what it still says ends it */
		waitpid(*pid, NULL, 0);
		err_set(e, ERR_NOMEM, "out of memory");
	}
	return f;
}

static enum blame blame_by_name(const char *name)
{
	for (int b = 0; b < BLAME_COUNT; b++)
		if (strcmp(blame_name((enum blame)b), name) == 0)
			return (enum blame)b;
	return BLAME_UNKNOWN;
}

static int add_bug(struct prove *p, const char *line)
{
	json_t *j = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
	const char *name = json_string_value(json_object_get(j, "name")),
		   *what = json_string_value(json_object_get(j, "what")),
		   *blame = json_string_value(json_object_get(j, "blame"));
	struct prove_bug *grown = realloc(p->bugs, (p->bugs_n + 1) * sizeof(*grown)), *b;
	int rv = name && what && blame ? 0 : ERR_PARSE;

	if (!grown) {
		json_decref(j);
		return ERR_NOMEM;
	}
	p->bugs = grown;
	b = &grown[p->bugs_n];
	memset(b, 0, sizeof(*b));
	if (!rv) {
		b->blame = blame_by_name(blame);
		b->wanted = true;
		b->canary = json_is_true(json_object_get(j, "canary"));
		rv = text_set(&b->name, name) || text_set(&b->what, what) ||
				     text_set(&b->beyond, json_string_value(json_object_get(j, "beyond")))
			     ? ERR_NOMEM
			     : 0;
		p->bugs_n++;
	}
	json_decref(j);
	return rv;
}

int prove_open(struct prove *p, struct err *e)
{
	char line[1024];
	pid_t pid = -1;
	FILE *f = ask(&pid, e);
	int rv = 0, status = 0;

	if (!f)
		return e->code;
	while (!rv && fgets(line, sizeof(line), f))
		rv = add_bug(p, line);
	fclose(f);
	if (waitpid(pid, &status, 0) != pid || status || rv || !p->bugs_n)
		return err_set(e, rv == ERR_NOMEM ? rv : ERR_ENVIRONMENT,
			       PROVE_PROGRAM " does not tell its bugs");
	return 0;
}

void prove_fini(struct prove *p)
{
	for (size_t i = 0; i < p->bugs_n; i++) {
		free(p->bugs[i].name);
		free(p->bugs[i].what);
		free(p->bugs[i].beyond);
		free(p->bugs[i].by);
		free(p->bugs[i].how);
		free(p->bugs[i].reach);
	}
	free(p->bugs);
	for (size_t i = 0; i < p->plans_n; i++)
		json_decref(p->plans[i]);
	free(p->plans);
}

int prove_want(struct prove *p, const char *const *names, size_t n, struct err *e)
{
	for (size_t b = 0; n && b < p->bugs_n; b++)
		p->bugs[b].wanted = false;
	for (size_t i = 0; i < n; i++) {
		size_t b = 0;

		while (b < p->bugs_n && strcmp(p->bugs[b].name, names[i]) != 0)
			b++;
		if (b == p->bugs_n)
			return err_set(e, ERR_NOTFOUND, "no bug '%s' ('quicrig prove --list' has them)",
				       names[i]);
		p->bugs[b].wanted = true;
	}
	return 0;
}

/* ---- the plans ---- */

static json_int_t devices_of(json_t *plan)
{
	json_int_t n = 0;
	size_t i;
	json_t *g;

	json_array_foreach(json_object_get(plan, "groups"), i, g)
	{
		n += json_integer_value(json_object_get(g, "count"));
	}
	return n;
}

int prove_plans(struct prove *p, json_t *const *plans, size_t n, struct err *e)
{
	char why[300];

	p->plans = calloc(n ? n : 1, sizeof(json_t *));
	if (!p->plans)
		return err_set(e, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		size_t at;

		if (json_object_get(plans[i], "skip") || json_object_get(plans[i], "xfail") ||
		    json_object_get(plans[i], "quarantine") ||
		    !rig_serves("virtual", NULL, plans[i], why, sizeof(why)))
			continue;
		/* the smallest first; equals keep the files' order */
		for (at = p->plans_n++; at && devices_of(p->plans[at - 1]) > devices_of(plans[i]); at--)
			p->plans[at] = p->plans[at - 1];
		p->plans[at] = json_incref(plans[i]);
	}
	return 0;
}

/* ---- the table ---- */

static void print_bug(struct prove *p, const struct prove_bug *b)
{
	const char *blame = blame_name(b->blame);

	if (b->caught)
		fprintf(p->out, " caught  %-26s %-7s %-44s blame %s%s%s\n", b->name, blame, b->by,
			b->blamed == b->blame	     ? "right"
			: b->blamed == BLAME_UNKNOWN ? ""
						     : "WRONG: ",
			b->blamed == b->blame ? "" : blame_name(b->blamed),
			b->beyond ? " (and was held to be beyond scenarios)" : "");
	else
		fprintf(p->out, " %-7s %-26s %-7s %s\n", b->beyond ? "beyond" : "MISSED", b->name, blame,
			b->beyond ? b->beyond : b->what);
	fflush(p->out);
}

static void count_bug(struct prove *p, const struct prove_bug *b)
{
	p->caught += b->caught;
	p->missed += !b->caught && !b->beyond;
	p->beyond += !b->caught && b->beyond;
	p->blamed_right += b->caught && b->blamed == b->blame;
}

/* ---- where each bug could show ---- */

struct scout {
	struct prove *p;
	size_t next; /* plan */
	int error;
};

/* Of one trial. */
struct scouted {
	struct prove *p;
	size_t plan;
};

static struct prove_bug *bug_of(struct prove *p, const char *name)
{
	for (size_t i = 0; name && i < p->bugs_n; i++)
		if (strcmp(p->bugs[i].name, name) == 0)
			return &p->bugs[i];
	return NULL;
}

static json_t *plant(json_t *plan, const char *bug)
{
	json_t *copy = json_copy(plan);

	if (!copy || json_object_set_new(copy, "plant", json_string(bug)) ||
	    (!json_integer_value(json_object_get(copy, "wall_ns")) &&
	     json_object_set_new(copy, "wall_ns", json_integer((json_int_t)BUG_WALL_NS)))) {
		json_decref(copy);
		return NULL;
	}
	return copy;
}

static void scout_event(struct trial *t, const struct journal_event *ev, const char *line, size_t len)
{
	struct scouted *at = t->user;
	struct prove_bug *b = ev->kind == J_PLANT_REACHED ? bug_of(at->p, journal_text(ev, JF_NAME)) : NULL;

	(void)line;
	(void)len;
	if (b)
		b->reach[at->plan] = true;
}

static struct trial *next_scout(void *ctx)
{
	struct scout *c = ctx;
	struct scouted *at = c->next < c->p->plans_n && !c->error ? malloc(sizeof(*at)) : NULL;
	json_t *plan = at ? plant(c->p->plans[c->next], "") : NULL;
	struct trial *t = plan ? trial_new(plan) : NULL;

	json_decref(plan);
	if (!t) {
		free(at);
		c->error = c->next < c->p->plans_n ? ERR_NOMEM : c->error;
		return NULL;
	}
	*at = (struct scouted){.p = c->p, .plan = c->next++};
	t->event = scout_event;
	t->user = at;
	return t;
}

static void done_scout(void *ctx, struct trials *ts, struct trial *t)
{
	struct scouted *at = t->user;

	(void)ctx;
	(void)ts;
	/* what did not come to its end told nothing: any bug might show in it */
	for (size_t i = 0; !t->hash[0] && i < at->p->bugs_n; i++)
		at->p->bugs[i].reach[at->plan] = true;
	free(at);
	trial_free(t);
}

/* ---- planted ---- */

struct hunt {
	struct prove *p;
	size_t printed; /* bugs whose row stands */
	int error;
};

static void pass_by(const struct prove *p, struct prove_bug *b)
{
	while (b->next < p->plans_n && !b->reach[b->next])
		b->next++;
}

/* One that is caught and laid to nobody goes on until a scenario lays it to somebody. */
static bool over(const struct prove *p, struct prove_bug *b)
{
	pass_by(p, b);
	return !b->wanted || (b->caught && b->blamed != BLAME_UNKNOWN) ||
	       (b->next == p->plans_n && !b->running);
}

static void print_known(struct hunt *h)
{
	for (; h->printed < h->p->bugs_n && over(h->p, &h->p->bugs[h->printed]); h->printed++) {
		if (!h->p->bugs[h->printed].wanted)
			continue;
		print_bug(h->p, &h->p->bugs[h->printed]);
		count_bug(h->p, &h->p->bugs[h->printed]);
	}
}

/* One scenario of a bug at a time, so that the first that catches it is always the same;
 * several bugs side by side. */
static struct trial *next_hunt(void *ctx)
{
	struct hunt *h = ctx;
	struct prove_bug *b = h->p->bugs;
	struct trial *t;
	json_t *plan;

	while (b < h->p->bugs + h->p->bugs_n && (over(h->p, b) || b->running))
		b++;
	if (b == h->p->bugs + h->p->bugs_n || h->error)
		return NULL;
	plan = plant(h->p->plans[b->next], b->name);
	t = plan ? trial_new(plan) : NULL;
	json_decref(plan);
	if (!t) {
		h->error = ERR_NOMEM;
		return NULL;
	}
	t->user = b;
	b->next++;
	b->running = true;
	return t;
}

static void done_hunt(void *ctx, struct trials *ts, struct trial *t)
{
	struct hunt *h = ctx;
	struct prove_bug *b = t->user;
	struct signature s;

	(void)ts;
	b->running = false;
	/* a run that hung or died tells nothing; only a verdict does */
	if (!t->interrupted && t->result->verdict == VERDICT_FAIL &&
	    (!b->caught || t->result->blame != BLAME_UNKNOWN)) {
		signature_of(t->result, &s);
		b->caught = true;
		b->blamed = t->result->blame;
		if (text_set(&b->by, t->result->id) || text_set(&b->how, s.text))
			h->error = ERR_NOMEM;
	}
	if (!t->interrupted)
		print_known(h);
	trial_free(t);
}

/* ---- unplanted ---- */

struct control {
	struct prove *p;
	size_t next;
	int error;
};

static struct trial *next_control(void *ctx)
{
	struct control *c = ctx;
	struct trial *t;

	if (c->next == c->p->plans_n)
		return NULL;
	t = trial_new(c->p->plans[c->next]);
	if (!t)
		c->error = ERR_NOMEM;
	c->next += t != NULL;
	return t;
}

static void done_control(void *ctx, struct trials *ts, struct trial *t)
{
	struct control *c = ctx;

	(void)ts;
	if (!t->interrupted && t->result->verdict == VERDICT_PASS) {
		c->p->green++;
	} else if (!t->interrupted) {
		c->p->red++;
		fprintf(c->p->out, " RED     %-26s %s: %s\n", "(nothing planted)", t->result->id,
			t->result->reason ? t->result->reason : verdict_name(t->result->verdict));
	}
	trial_free(t);
}

int prove_run(struct prove *p, int *signal_number, struct err *e)
{
	struct hunt h = {.p = p};
	struct control c = {.p = p};
	struct scout s = {.p = p};
	struct trials_options o = {
		.jobs = p->jobs, .program = PROVE_PROGRAM, .next = next_scout, .done = done_scout, .ctx = &s};
	int rv = 0;

	for (size_t i = 0; !rv && i < p->bugs_n; i++) {
		p->bugs[i].reach = calloc(p->plans_n ? p->plans_n : 1, sizeof(bool));
		rv = p->bugs[i].reach ? 0 : err_set(e, ERR_NOMEM, "out of memory");
	}
	if (!rv)
		rv = trials_run(&o, signal_number, e);
	if (!rv && !s.error) {
		o = (struct trials_options){.jobs = p->jobs,
					    .program = PROVE_PROGRAM,
					    .next = next_hunt,
					    .done = done_hunt,
					    .ctx = &h};
		rv = trials_run(&o, signal_number, e);
	}
	if (!rv && (h.error || s.error))
		rv = err_set(e, ERR_NOMEM, "out of memory");
	if (rv)
		return rv;
	print_known(&h);
	o = (struct trials_options){.jobs = p->jobs, .next = next_control, .done = done_control, .ctx = &c};
	rv = trials_run(&o, signal_number, e);
	return !rv && c.error ? err_set(e, c.error, "out of memory") : rv;
}
