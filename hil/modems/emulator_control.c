#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "hil/modems/emulator_int.h"

#define BACKLOG 4

int emulator_control_open(struct emulator *em, struct err *e)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const char *path = em->config.control;
	struct stat st;
	mode_t mask;
	int rv;

	if (!path)
		return 0;
	if (strlen(path) >= sizeof(addr.sun_path))
		return err_set_at(e, ERR_PARSE, path, 0, 0, "longer than a socket's path may be");
	strcpy(addr.sun_path, path);
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(path); /* left by a run that was killed; whatever else stands there is not ours */
	em->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mask = umask(0177);
	rv = em->listener < 0 ? -1 : bind(em->listener, (struct sockaddr *)&addr, sizeof(addr));
	umask(mask);
	if (rv || listen(em->listener, BACKLOG)) {
		err_set_at(e, ERR_ENVIRONMENT, path, 0, 0, "control socket: %s", strerror(errno));
		if (em->listener >= 0)
			close(em->listener);
		em->listener = -1; /* so that nothing of somebody else's is removed at the end */
		return ERR_ENVIRONMENT;
	}
	return 0;
}

static void drop(struct client *c)
{
	close(c->fd);
	c->fd = -1;
	buf_fini(&c->in);
	buf_fini(&c->out);
}

void emulator_control_close(struct emulator *em)
{
	for (unsigned i = 0; i < EMULATOR_CLIENTS_MAX; i++) {
		if (em->clients[i].fd >= 0)
			drop(&em->clients[i]);
	}
	if (em->listener < 0)
		return;
	close(em->listener);
	em->listener = -1;
	unlink(em->config.control);
}

void emulator_control_accept(struct emulator *em)
{
	int fd = accept4(em->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	for (unsigned i = 0; fd >= 0 && i < EMULATOR_CLIENTS_MAX; i++) {
		struct client *c = &em->clients[i];

		if (c->fd >= 0)
			continue;
		c->fd = fd;
		buf_init(&c->in, EMULATOR_LINE_MAX);
		buf_init(&c->out, EMULATOR_LINE_MAX);
		return;
	}
	if (fd >= 0)
		close(fd);
}

static struct emulated *find(struct emulator *em, json_t *msg, struct err *e)
{
	const char *name = json_string_value(json_object_get(msg, "modem"));

	for (unsigned i = 0; name && i < em->count; i++) {
		if (strcmp(em->modems[i].spec->name, name) == 0)
			return &em->modems[i];
	}
	err_set(e, ERR_NOTFOUND, "no modem is called '%s'", name ? name : "");
	return NULL;
}

static int do_fault(struct emulator *em, json_t *msg, json_t *answer, struct err *e)
{
	json_t *spec = json_object_get(msg, "fault");
	const char *what = json_string_value(json_object_get(spec, "do"));
	const char *on = json_string_value(json_object_get(spec, "on"));

	(void)answer;
	if (!json_is_object(spec) || !what || !on)
		return err_set(e, ERR_PARSE, "fault: an object with name, on and do was expected");
	if (!gsm_carrier_knows_fault(what) && !modem_core_knows_fault(what) && strcmp(what, "unplug") != 0)
		return err_set(e, ERR_PARSE, "no fault of modem or carrier is called '%s'", what);
	if (strcmp(on, "sms.submitted") != 0 && strcmp(on, "modem.state") != 0)
		return err_set(e, ERR_PARSE, "faults act here on sms.submitted and modem.state, not on '%s'",
			       on);
	return faults_arm(em->faults, spec, e);
}

static int do_disarm(struct emulator *em, json_t *msg, json_t *answer, struct err *e)
{
	const char *name = json_string_value(json_object_get(msg, "name"));

	(void)answer;
	if (!name || faults_disarm(em->faults, name))
		return err_set(e, ERR_NOTFOUND, "no fault is called '%s'", name ? name : "");
	return 0;
}

static int do_unplug(struct emulator *em, json_t *msg, json_t *answer, struct err *e)
{
	struct emulated *m = find(em, msg, e);

	(void)answer;
	if (!m)
		return ERR_NOTFOUND;
	m->plug_at = 0;
	emulator_unplug(m, "told to");
	return 0;
}

static int do_plug(struct emulator *em, json_t *msg, json_t *answer, struct err *e)
{
	struct emulated *m = find(em, msg, e);
	int rv = m ? emulator_plug(m, e) : ERR_NOTFOUND;

	if (rv == 0)
		json_object_set_new(answer, "path", json_string(m->pty.path));
	return rv;
}

static int do_mute(struct emulator *em, json_t *msg, json_t *answer, struct err *e)
{
	struct emulated *m = find(em, msg, e);
	json_t *for_ns = json_object_get(msg, "for_ns");

	(void)answer;
	if (!m)
		return ERR_NOTFOUND;
	if (for_ns && (!json_is_integer(for_ns) || json_integer_value(for_ns) < 0))
		return err_set(e, ERR_PARSE, "for_ns: a number of nanoseconds was expected");
	modem_core_mute(m->core, !for_ns ? TIME_NEVER
				 : json_integer_value(for_ns)
					 ? time_add(em->now, (time_ns)json_integer_value(for_ns))
					 : 0);
	return 0;
}

/* A fault of the modem's own, at once: {"fault": {"do": …, "args": …}}. It is armed for
 * this one question in a set of its own, so that the journal knows of no event. */
static int do_act(struct emulator *em, json_t *msg, json_t *answer, struct err *e)
{
	struct emulated *m = find(em, msg, e);
	const char *what = json_string_value(json_object_get(json_object_get(msg, "fault"), "do"));
	struct journal_event now = {.t = em->now, .kind = J_MODEM_STATE, .actor = "control"};
	struct faults *once;
	json_t *spec;
	int rv;

	(void)answer;
	if (!m)
		return ERR_NOTFOUND;
	if (!what || (!modem_core_knows_fault(what) && strcmp(what, "unplug") != 0))
		return err_set(e, ERR_PARSE, "nothing called '%s' befalls a modem", what ? what : "");
	spec = json_copy(json_object_get(msg, "fault"));
	json_object_set_new(spec, "name", json_string("act"));
	json_object_set_new(spec, "on", json_string("modem.state"));
	once = faults_new(0);
	rv = once && spec ? faults_arm(once, spec, e) : err_set(e, ERR_NOMEM, "out of memory");
	if (!rv)
		modem_core_fault(m->core, em->now, fault_hook(once, &now));
	faults_free(once);
	json_decref(spec);
	return rv;
}

static int do_sms(struct emulator *em, json_t *msg, json_t *answer, struct err *e)
{
	const char *to = NULL, *text = NULL, *from = "+34699999999", *what;
	int rv = ERR_NOTFOUND;

	(void)answer;
	if (json_unpack(msg, "{s:s, s:s, s:s, s?s}", "do", &what, "to", &to, "text", &text, "from", &from))
		return err_set(e, ERR_PARSE, "sms: to and text were expected");
	for (unsigned i = 0; i < em->count && rv < 0; i++) {
		if (strcmp(em->modems[i].spec->name, to) == 0)
			rv = (int)em->modems[i].id;
	}
	if (rv < 0)
		rv = gsm_carrier_find(em->carrier, to);
	if (rv < 0)
		return err_set(e, rv, "no modem has the name or number '%s'", to);
	rv = gsm_carrier_inject(em->carrier, (unsigned)rv, em->now,
				em->epoch_unix_s + (int64_t)(em->now / NS_PER_S), from, text);
	return rv ? err_set(e, rv, "the text does not fit into one SMS") : 0;
}

static int do_stats(struct emulator *em, json_t *msg, json_t *answer, struct err *e)
{
	json_t *modems = json_object();
	struct gsm_stats s;

	(void)msg;
	(void)e;
	gsm_carrier_stats(em->carrier, &s);
	json_object_set_new(answer, "stats",
			    json_pack("{s:I, s:I, s:I, s:I, s:I, s:i}", "submitted", (json_int_t)s.submitted,
				      "refused", (json_int_t)s.refused, "delivered", (json_int_t)s.delivered,
				      "lost", (json_int_t)s.lost, "reports", (json_int_t)s.reports, "waiting",
				      (int)s.waiting));
	for (unsigned i = 0; i < em->count; i++)
		json_object_set_new(modems, em->modems[i].spec->name,
				    em->modems[i].plugged ? json_string(em->modems[i].pty.path)
							  : json_null());
	json_object_set_new(answer, "modems", modems);
	return 0;
}

static int do_quit(struct emulator *em, json_t *msg, json_t *answer, struct err *e)
{
	(void)msg;
	(void)answer;
	(void)e;
	em->quit = true;
	return 0;
}

static const struct {
	const char *name;
	int (*run)(struct emulator *em, json_t *msg, json_t *answer, struct err *e);
} orders[] = {
	{"fault", do_fault}, {"disarm", do_disarm}, {"unplug", do_unplug}, {"plug", do_plug},
	{"mute", do_mute},   {"act", do_act},	    {"sms", do_sms},	   {"stats", do_stats},
	{"quit", do_quit},
};

static int run_order(struct emulator *em, json_t *msg, json_t *answer, struct err *e)
{
	const char *what = json_string_value(json_object_get(msg, "do"));

	if (!what)
		return err_set(e, ERR_PARSE, "'do' was expected");
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		if (strcmp(orders[i].name, what) == 0)
			return orders[i].run(em, msg, answer, e);
	}
	return err_set(e, ERR_PARSE, "nothing is called '%s' here", what);
}

static void run_text(struct emulator *em, struct client *c, const char *line, size_t len)
{
	struct err e = {0};
	json_error_t je;
	json_t *msg = json_loadb(line, len, JSON_REJECT_DUPLICATES, &je), *answer = json_object();
	char *text;
	int rv;

	rv = msg ? run_order(em, msg, answer, &e) : err_set(&e, ERR_PARSE, "%s", je.text);
	json_object_set_new(answer, "ok", json_boolean(rv == 0));
	if (rv)
		json_object_set_new(answer, "error", json_string(e.text));
	text = json_dumps(answer, JSON_COMPACT);
	if (text) {
		buf_puts(&c->out, text);
		buf_puts(&c->out, "\n");
	}
	free(text);
	json_decref(answer);
	json_decref(msg);
}

static bool flush(struct client *c)
{
	while (c->out.len) {
		ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		buf_consume(&c->out, (size_t)n);
	}
	return true;
}

void emulator_control_serve(struct emulator *em, struct client *c)
{
	char bytes[4096];
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);
	char *end;

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		drop(c);
		return;
	}
	if (n > 0 && buf_add(&c->in, bytes, (size_t)n)) {
		drop(c); /* a line without an end */
		return;
	}
	while (c->in.len && (end = memchr(c->in.data, '\n', c->in.len))) {
		size_t len = (size_t)(end - c->in.data);

		if (len)
			run_text(em, c, c->in.data, len);
		buf_consume(&c->in, len + 1);
	}
	if (!flush(c) || c->out.failed)
		drop(c);
}
