#include "hil/modems/emulator.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/smstext.h"
#include "hil/modems/emulator_int.h"

#define WAKE_MS	   1000 /* at the latest: clears what clients left on the terminals */
#define READ_SIZE  4096
#define POLL_FIXED 3 /* listener, signals, journal */
#define POLL_MAX   (POLL_FIXED + EMULATOR_CLIENTS_MAX + EMULATOR_MODEMS_MAX)

static time_ns clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (time_ns)ts.tv_sec * NS_PER_S + (time_ns)ts.tv_nsec;
}

/* The journal may stall us: whoever judges must see every line. */
static int write_journal(void *ctx, const char *line, size_t len)
{
	int fd = *(const int *)ctx;

	while (len) {
		ssize_t n = write(fd, line, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			struct pollfd p = {.fd = fd, .events = POLLOUT};

			poll(&p, 1, WAKE_MS);
			continue;
		}
		if (n <= 0)
			return ERR_IO;
		line += n;
		len -= (size_t)n;
	}
	return 0;
}

static const struct fault *on_state(void *ctx, time_ns now, const char *state, const char *why)
{
	struct emulated *m = ctx;
	char actor[40];

	snprintf(actor, sizeof(actor), "modem:%s", m->spec->name);
	return JOURNAL(m->emulator->journal, now, actor, m->owner[0] ? m->owner : NULL, NULL, NULL, J_MODEM_STATE,
		       JS(MODEM, m->spec->name), JS(STATE, state), JS(WHY, why[0] ? why : NULL));
}

static int64_t unix_s(const struct emulator *em, time_ns now)
{
	return em->epoch_unix_s + (int64_t)(now / NS_PER_S);
}

static int64_t arg_ns(const struct fault *f)
{
	json_t *v = json_object_get(fault_args(f), "for_ns");

	return json_is_integer(v) ? json_integer_value(v) : -1;
}

/* A full store at sms.submitted means the receiver's: the sender has none to fill. */
static void on_submit(void *ctx, time_ns now, const struct pdu_submit *s, struct gsm_verdict *out)
{
	struct emulated *m = ctx;
	struct emulator *em = m->emulator;
	int64_t for_ns;

	gsm_carrier_submit(em->carrier, m->id, now, unix_s(em, now), s, out);
	if (!fault_is(out->fault, "storage_full") || out->to >= em->count)
		return;
	for_ns = arg_ns(out->fault);
	modem_core_set_full(em->modems[out->to].core,
			    for_ns < 0 ? TIME_NEVER : time_add(now, (time_ns)for_ns));
	out->fault = NULL;
}

static void on_room(void *ctx, time_ns now)
{
	struct emulated *m = ctx;

	gsm_carrier_retry(m->emulator->carrier, m->id, now);
}

static void on_fault(void *ctx, time_ns now, const struct fault *f)
{
	struct emulated *m = ctx;
	int64_t for_ns = arg_ns(f);

	if (!fault_is(f, "unplug"))
		return;
	m->unplug = true;
	m->plug_at = for_ns < 0 ? 0 : time_add(now, (time_ns)for_ns);
	modem_core_mute(m->core, TIME_NEVER); /* not a word more */
}

/* Told with the device whose code it is, so that its scenario's judge knows how far it came. */
static int on_deliver(void *ctx, unsigned to, time_ns now, const struct pdu_deliver *d)
{
	struct emulator *em = ctx;
	struct emulated *m = &em->modems[to];
	char text[PDU_TEXT_MAX];
	struct smstext parsed;
	int rv = ERR_BUSY;

	if (smstext_parse(pdu_text(&d->ud, text), &parsed))
		snprintf(m->owner, sizeof(m->owner), "%s", parsed.uuid);
	explicit_bzero(text, sizeof(text));
	explicit_bzero(&parsed, sizeof(parsed));
	if (m->plugged)
		rv = modem_core_deliver(m->core, now, d);
	if (rv)
		on_state(m, now, "held", "the network keeps an SMS that it does not take");
	m->owner[0] = '\0';
	return rv;
}

static void on_report(void *ctx, unsigned to, time_ns now, const struct pdu_report *r)
{
	struct emulator *em = ctx;

	if (em->modems[to].plugged)
		modem_core_report(em->modems[to].core, now, r);
}

static bool link_path(const struct emulated *m, char out[PATH_MAX])
{
	const char *dir = m->emulator->config.link_dir;

	return dir && snprintf(out, PATH_MAX, "%s/%s", dir, m->spec->name) < PATH_MAX;
}

/* A link of ours or of a run before; any other file stays. */
static void remove_link(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
		unlink(path);
}

int emulator_plug(struct emulated *m, struct err *e)
{
	char path[PATH_MAX];
	int rv;

	m->plug_at = 0;
	if (m->plugged)
		return 0;
	rv = pty_open(&m->pty, e);
	if (rv)
		return rv;
	if (link_path(m, path)) {
		remove_link(path);
		if (symlink(m->pty.path, path)) {
			rv = err_set_at(e, ERR_ENVIRONMENT, path, 0, 0, "%s", strerror(errno));
			pty_close(&m->pty);
			return rv;
		}
	}
	m->plugged = true;
	buf_reset(modem_core_output(m->core));
	modem_core_boot(m->core, m->emulator->now);
	return 0;
}

void emulator_unplug(struct emulated *m, const char *why)
{
	char path[PATH_MAX];

	m->unplug = false;
	if (!m->plugged)
		return;
	if (link_path(m, path))
		remove_link(path);
	pty_close(&m->pty);
	m->plugged = false;
	on_state(m, m->emulator->now, "off", why);
}

static int start_modem(struct emulator *em, const struct emulator_spec *spec, struct err *e)
{
	struct emulated *m = &em->modems[em->count];
	struct modem_setup setup = {.number = spec->number,
				    .imei = spec->imei,
				    .imsi = spec->imsi,
				    .pin = spec->pin,
				    .personality = spec->personality,
				    .storage = spec->storage,
				    .quiet_ns = spec->quiet_ns,
				    .epoch_unix_s = em->epoch_unix_s};
	struct modem_hooks hooks = {m, on_state, on_submit, on_room, on_fault};
	int id = gsm_carrier_subscribe(em->carrier, spec->name, spec->number);

	if (id == ERR_EXISTS)
		return err_set(e, ERR_PARSE, "two modems have the number %s", spec->number);
	if (id < 0)
		return err_set(e, id, "modem '%s': %s", spec->name, err_text(id));
	m->emulator = em;
	m->spec = spec;
	m->id = (unsigned)id;
	pty_init(&m->pty);
	m->core = modem_core_new(&setup, &hooks);
	if (!m->core)
		return err_set(e, ERR_NOMEM, "out of memory");
	em->count++;
	return emulator_plug(m, e);
}

static void emulator_fini(struct emulator *em)
{
	emulator_control_close(em);
	for (unsigned i = 0; i < em->count; i++) {
		emulator_unplug(&em->modems[i], "end");
		modem_core_free(em->modems[i].core);
	}
	gsm_carrier_free(em->carrier);
	journal_free(em->journal);
	faults_free(em->faults);
	emulator_config_fini(&em->config);
}

static int emulator_start(struct emulator *em, struct err *e)
{
	struct gsm_carrier_setup setup = {.seed = em->config.seed,
					  .profile = em->config.profile,
					  .ctx = em,
					  .run_key = em->config.keyed ? em->config.run_key : NULL,
					  .deliver = on_deliver,
					  .report = on_report};
	int rv;

	em->now = clock_now();
	em->epoch_unix_s = (int64_t)time(NULL) - (int64_t)(em->now / NS_PER_S);
	em->faults = faults_new(em->config.seed);
	em->journal = journal_new(em->config.journal_fd >= 0 ? write_journal : NULL, &em->config.journal_fd);
	if (!em->faults || !em->journal)
		return err_set(e, ERR_NOMEM, "out of memory");
	journal_set_hook(em->journal, fault_hook, em->faults);
	setup.journal = em->journal;
	em->carrier = gsm_carrier_new(&setup);
	if (!em->carrier)
		return err_set(e, ERR_NOMEM, "out of memory");
	if (em->config.link_dir && mkdir(em->config.link_dir, 0700) && errno != EEXIST)
		return err_set_at(e, ERR_ENVIRONMENT, em->config.link_dir, 0, 0, "%s", strerror(errno));
	for (unsigned i = 0; i < em->config.count; i++) {
		rv = start_modem(em, &em->config.modems[i], e);
		if (rv)
			return rv;
	}
	return emulator_control_open(em, e);
}

static void say_ready(const struct emulator *em)
{
	if (isatty(STDOUT_FILENO)) {
		for (unsigned i = 0; i < em->count; i++)
			printf("%s %s %s\n", em->modems[i].spec->name, em->modems[i].spec->number,
			       em->modems[i].pty.path);
	} else {
		printf("{\"ready\":{");
		for (unsigned i = 0; i < em->count; i++)
			printf("%s\"%s\":\"%s\"", i ? "," : "", em->modems[i].spec->name,
			       em->modems[i].pty.path);
		printf("}}\n");
	}
	fflush(stdout);
}

static void write_out(struct emulated *m)
{
	struct buf *out = modem_core_output(m->core);

	while (m->plugged && out->len) {
		ssize_t n = write(m->pty.master, out->data, out->len);

		if (n <= 0)
			return;
		buf_consume(out, (size_t)n);
	}
}

/* Everything that is due, then everything that is to be said. */
static void advance(struct emulator *em)
{
	for (unsigned i = 0; i < em->count; i++) {
		struct emulated *m = &em->modems[i];
		struct err e = {0};

		if (m->unplug)
			emulator_unplug(m, "fault");
		if (m->plug_at && m->plug_at <= em->now && emulator_plug(m, &e))
			m->plug_at = time_add(em->now, NS_PER_S); /* no terminal to be had: try again */
		if (m->plugged)
			modem_core_tick(m->core, em->now);
	}
	gsm_carrier_tick(em->carrier, em->now);
	for (unsigned i = 0; i < em->count; i++) {
		write_out(&em->modems[i]);
		if (em->modems[i].unplug)
			emulator_unplug(&em->modems[i], "fault");
	}
}

static int timeout_ms(const struct emulator *em)
{
	time_ns at = gsm_carrier_deadline(em->carrier), now;

	for (unsigned i = 0; i < em->count; i++) {
		const struct emulated *m = &em->modems[i];

		if (m->plugged)
			at = time_min(at, modem_core_deadline(m->core));
		if (m->plug_at)
			at = time_min(at, m->plug_at);
	}
	now = clock_now();
	if (at <= now)
		return 0;
	return at - now >= WAKE_MS * NS_PER_MS ? WAKE_MS : (int)((at - now + NS_PER_MS - 1) / NS_PER_MS);
}

static void read_in(struct emulated *m)
{
	char bytes[READ_SIZE];
	ssize_t n;

	pty_share(&m->pty);
	n = read(m->pty.master, bytes, sizeof(bytes));
	if (n > 0)
		modem_core_feed(m->core, m->emulator->now, bytes, (size_t)n);
}

static unsigned fill_poll(struct emulator *em, int signals, struct pollfd *p)
{
	unsigned n = 0;

	p[n++] = (struct pollfd){.fd = em->listener, .events = POLLIN};
	p[n++] = (struct pollfd){.fd = signals, .events = POLLIN};
	p[n++] = (struct pollfd){.fd = em->config.journal_fd}; /* POLLERR: its reader is gone */
	for (unsigned i = 0; i < EMULATOR_CLIENTS_MAX; i++)
		p[n++] = (struct pollfd){.fd = em->clients[i].fd,
					 .events = (short)(POLLIN | (em->clients[i].out.len ? POLLOUT : 0))};
	for (unsigned i = 0; i < em->count; i++)
		p[n++] = (struct pollfd){
			.fd = em->modems[i].pty.master,
			.events = (short)(POLLIN |
					  (modem_core_output(em->modems[i].core)->len && em->modems[i].plugged
						   ? POLLOUT
						   : 0))};
	return n;
}

static int loop(struct emulator *em, int signals)
{
	struct pollfd p[POLL_MAX];

	while (!em->quit) {
		unsigned n, at = POLL_FIXED;
		int ready;

		advance(em);
		n = fill_poll(em, signals, p);
		ready = poll(p, n, timeout_ms(em));
		em->now = clock_now();
		if (ready < 0 && errno != EINTR)
			return ERR_IO;
		if (journal_error(em->journal) || p[2].revents & (POLLERR | POLLNVAL))
			return ERR_CLOSED;
		if (p[1].revents)
			return 0;
		for (unsigned i = 0; i < EMULATOR_CLIENTS_MAX; i++, at++) {
			if (em->clients[i].fd >= 0 && p[at].revents)
				emulator_control_serve(em, &em->clients[i]);
		}
		for (unsigned i = 0; i < em->count; i++, at++) {
			struct emulated *m = &em->modems[i];

			if (m->plugged && m->pty.master == p[at].fd && p[at].revents & POLLIN)
				read_in(m);
			else if (!ready)
				pty_share(&m->pty);
		}
		if (p[0].revents & POLLIN)
			emulator_control_accept(em);
	}
	return 0;
}

static int open_signals(void)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int exit_code(int rv)
{
	switch (rv) {
	case 0:
		return 0;
	case ERR_PARSE:
	case ERR_LIMIT:
		return 2;
	case ERR_NOMEM:
	case ERR_INTERNAL:
		return 70;
	default:
		return 3;
	}
}

int modems_emulate_main(int argc, char **argv)
{
	struct emulator *em = calloc(1, sizeof(*em));
	struct err e = {0};
	char text[800];
	int rv, signals = -1;

	if (!em)
		return 70;
	em->listener = -1;
	for (unsigned i = 0; i < EMULATOR_CLIENTS_MAX; i++)
		em->clients[i].fd = -1;
	rv = emulator_configure(&em->config, argc, argv, &e);
	if (rv == 1) {
		rv = 0;
		goto out;
	}
	if (rv == 0)
		rv = emulator_start(em, &e);
	if (rv == 0) {
		signals = open_signals();
		say_ready(em);
		rv = loop(em, signals);
		if (rv)
			err_set(&e, rv, rv == ERR_CLOSED ? "the journal's reader is gone" : "poll: %s",
				strerror(errno));
	}
	if (rv)
		fprintf(stderr, "quicrig modems emulate: error: %s\n", err_format(&e, text, sizeof(text)));
out:
	if (signals >= 0)
		close(signals);
	emulator_fini(em);
	free(em);
	return exit_code(rv);
}
