#include "server/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/plant.h"
#include "server/server_internal.h"

#define DRAIN_NS (250 * NS_PER_MS)

void server_set_time(struct server *s, const struct instant *at)
{
	s->at = *at;
	s->at.unix_ms += s->clock_offset_ms;
	server_lab_time(s);
}

/* ---- life ---- */

static int open_quic(struct server *s, struct err *e)
{
	const struct server_config *cfg = &s->cfg;
	const int64_t *v = cfg->settings.v;
	struct quic_credentials_pem pem = {
		.cert = cfg->pki->server.cert, .key = cfg->pki->server.key, .peer_ca = cfg->pki->device_ca.cert};
	struct quic_config q = {
		.server = true,
		.alpn = cfg->alpn,
		.secret = cfg->secret,
		.on = server_quic_callbacks,
		.ctx = s,
		.idle_timeout = (time_ns)v[SETTING_IDLE_TIMEOUT],
		.handshake_timeout = (time_ns)v[SETTING_HANDSHAKE_TIMEOUT],
		.fin_timeout = (time_ns)v[SETTING_FIN_TIMEOUT],
		.message_max = (size_t)v[SETTING_REQUEST_MAX],
		.streams = (unsigned)v[SETTING_STREAMS],
		.stream_window = (size_t)v[SETTING_STREAM_WINDOW],
		.worker = cfg->worker,
		.half_open_retry = v[SETTING_HALF_OPEN_RETRY],
		.connections_max = v[SETTING_CONNECTIONS],
		.connections_per_source = v[SETTING_CONNECTIONS_PER_SOURCE],
	};

	s->credentials = quic_credentials_new(&pem, e);
	if (!s->credentials)
		return ERR_TLS;
	q.credentials = s->credentials;
	memcpy(q.reset_key, cfg->pki->reset_key, sizeof(q.reset_key));
	s->quic = quic_endpoint_new(&q, e);
	return s->quic ? 0 : ERR_QUIC;
}

static int open_store(struct server *s, const struct instant *at, struct err *e)
{
	const struct server_config *cfg = &s->cfg;
	struct store_config st = {
		.path = cfg->db,
		.vfs = s->disk ? store_disk_vfs(s->disk) : cfg->vfs,
		.boot_id = cfg->boot_id ? cfg->boot_id : "",
		.settings = &cfg->settings};
	struct enroll_config en = {
		.registry = cfg->registry,
		.settings = &cfg->settings,
		.token_key = cfg->pki->token_key,
		.old_token_keys = cfg->old_token_keys,
		.store_key = cfg->pki->store_key,
		.run_key = s->run_key,
		.secret = cfg->secret,
	};
	const struct store_epoch *ep;
	unsigned n;

	s->store = store_open(&st, at, e);
	if (!s->store)
		return ERR_IO;
	en.store = s->store;
	s->enroll = enroll_new(&en, at, e);
	if (!s->enroll)
		return ERR_IO;
	/* also who left the registry while nobody served */
	if (enroll_strip(s->enroll, at, cfg->registry, &s->fx) || store_commit(s->store, at))
		return err_set(e, ERR_IO, "database '%s': %s", cfg->db, store_error(s->store));
	n = store_epochs(s->store, &ep);
	SERVER_EVENT(s, J_SERVER_STATE, JS(STATE, n > 1 && !ep[n - 2].clean ? "recovered" : "up"));
	return 0;
}

struct server *server_new(const struct server_config *cfg, const struct instant *at, struct err *e)
{
	struct server *s = calloc(1, sizeof(*s));

	if (!s) {
		err_set(e, ERR_NOMEM, "server: out of memory");
		return NULL;
	}
	s->cfg = *cfg;
	s->journal = cfg->journal;
	s->crash_at = -1;
	s->disk_until = TIME_NEVER;
	s->clock_offset_ms = cfg->clock_offset_ms;
	server_set_time(s, at);
	at = &s->at;
	effects_init(&s->fx);
	STAILQ_INIT(&s->delayed);
	STAILQ_INIT(&s->held);
	LIST_INIT(&s->conns);
	rng_init(&s->rng, cfg->seed, "server", "answer");
	if (cfg->run_key)
		memcpy(s->run_key, cfg->run_key, sizeof(s->run_key));
	else
		secret_fill(cfg->secret, s->run_key, sizeof(s->run_key));
	if (server_lab_open(s, e) || open_quic(s, e) || open_store(s, at, e)) {
		server_free(s);
		return NULL;
	}
	s->open = true;
	return s;
}

static void free_replies(struct reply_list *list)
{
	struct reply *r;

	while ((r = STAILQ_FIRST(list))) {
		STAILQ_REMOVE_HEAD(list, next);
		reply_free(r);
	}
}

void server_free(struct server *s)
{
	struct conn *c;

	if (!s)
		return;
	quic_endpoint_free(s->quic);
	while ((c = LIST_FIRST(&s->conns)))
		server_conn_free(c);
	quic_credentials_free(s->credentials);
	free_replies(&s->delayed);
	free_replies(&s->held);
	effects_fini(&s->fx);
	enroll_free(s->enroll);
	store_close(s->store, false);
	if (s->faults)
		journal_set_hook(s->journal, NULL, NULL);
	faults_free(s->faults);
	server_lab_close(s);
	explicit_bzero(s->run_key, sizeof(s->run_key));
	free(s);
}

void server_stop(struct server *s, const struct instant *at)
{
	server_set_time(s, at);
	s->stopping = true;
}

const char *server_trouble(const struct server *s)
{
	return s->store && store_failing(s->store) ? store_error(s->store) : NULL;
}

bool server_stopped(const struct server *s)
{
	return s->stopped;
}

static bool deaf(const struct server *s)
{
	return s->dead || s->stopped;
}

/* Who asks again where this failed finds the old registry still there, so nobody slips through
 * between the two. */
int server_reload(struct server *s, const struct instant *at, struct registry *fresh, struct registry **old,
		  struct err *e)
{
	int rv;

	if (deaf(s))
		return err_set(e, ERR_CLOSED, "the server has stopped");
	server_set_time(s, at);
	rv = enroll_strip(s->enroll, &s->at, fresh, &s->fx);
	if (!rv)
		rv = server_commit(s);
	if (rv)
		return err_set(e, rv, "the registry that was there stays: storage failed: %s", store_error(s->store));
	*old = s->cfg.registry;
	s->cfg.registry = fresh;
	enroll_set_registry(s->enroll, fresh);
	SERVER_EVENT(s, J_OPERATOR, JS(NAME, "reload"));
	return 0;
}

/* ---- what the world hands in ---- */

void server_datagram(struct server *s, const struct instant *at, const struct addr *local,
		     const struct addr *remote, unsigned ecn, const uint8_t *data, size_t len)
{
	if (deaf(s))
		return;
	server_set_time(s, at);
	quic_input(s->quic, &s->at, local, remote, ecn, data, len);
}

void server_sms_status(struct server *s, const struct instant *at, const char *id, enum sms_status status,
		       int64_t eta_s, int cms, int ref)
{
	(void)ref;
	if (deaf(s))
		return;
	server_set_time(s, at);
	enroll_sms_status(s->enroll, &s->at, id, status, eta_s, cms, &s->fx);
}

void server_gateway(struct server *s, const struct instant *at, bool up)
{
	if (deaf(s) || !up)
		return;
	server_set_time(s, at);
	enroll_gateway_up(s->enroll, &s->at, &s->fx);
}

time_ns server_deadline(const struct server *s)
{
	time_ns due;

	if (deaf(s))
		return TIME_NEVER;
	if (s->stopping || !TAILQ_EMPTY(&s->fx.events) || !TAILQ_EMPTY(&s->fx.sms) || !STAILQ_EMPTY(&s->fx.replies) ||
	    (store_dirty(s->store) && !PLANTED(REPLY_BEFORE_COMMIT)))
		return 0;
	due = time_min(quic_deadline(s->quic), enroll_deadline(s->enroll));
	if (s->ends_at)
		due = time_min(due, s->ends_at);
	return STAILQ_EMPTY(&s->delayed) ? due : time_min(due, STAILQ_FIRST(&s->delayed)->due);
}

/* ---- a turn ---- */

int server_commit(struct server *s)
{
	bool writes = store_dirty(s->store);
	int rv;

	if (s->fx.failed)
		store_spoil(s->store);
	rv = store_commit(s->store, &s->at);
	s->commits += writes && !rv;
	if (rv)
		enroll_failed(s->enroll, &s->fx);
	else
		enroll_committed(s->enroll);
	return rv;
}

/* Who is killed at one event leaves behind what the turn committed besides: the lines
 * of other devices are told, or their codes would come from nowhere after the restart. */
bool server_write_journal(struct server *s)
{
	struct effect_event *ev;
	const struct fault *f;
	char killer[128] = "";

	while ((ev = TAILQ_FIRST(&s->fx.events))) {
		TAILQ_REMOVE(&s->fx.events, ev, next);
		f = journal_emit(s->journal, &ev->ev);
		if (!killer[0] && server_act(s, f, ev->reply))
			snprintf(killer, sizeof(killer), "%s", fault_name(f));
	}
	if (killer[0])
		server_die(s, killer);
	return !killer[0];
}

static void hand_sms(struct server *s)
{
	struct effect_sms *e;

	while ((e = TAILQ_FIRST(&s->fx.sms))) {
		TAILQ_REMOVE(&s->fx.sms, e, next);
		/* not there: the outbox repeats it when it is */
		if (s->cfg.world.sms(s->cfg.world.ctx, &e->sms) == 0)
			s->handed_sms = true;
	}
}

/* Sorted by `due`, the first come first where two are due at once. */
static void put_off(struct server *s, struct reply *r, time_ns due)
{
	struct reply *one, *before = NULL;

	r->due = due;
	STAILQ_FOREACH(one, &s->delayed, next) {
		if (one->due > due)
			break;
		before = one;
	}
	if (before)
		STAILQ_INSERT_AFTER(&s->delayed, before, r, next);
	else
		STAILQ_INSERT_HEAD(&s->delayed, r, next);
}

static const char *resource_text(const struct reply *r)
{
	return r->resource == MSG_OTHER ? "other" : msg_resource_name(r->resource);
}

/* Hands the bytes to QUIC, or what a script puts in their place. */
static void answer(struct server *s, const struct reply *r)
{
	struct quic_conn *q = ((struct conn *)r->peer->conn)->quic;
	enum script_link link = script_link(r->script);
	struct buf out;
	struct err e = {0};
	int rv;

	if (link == SCRIPT_RESET)
		quic_reset(q, r->stream, QUIC_APP_INTERNAL);
	if (link == SCRIPT_CLOSE)
		quic_close(q, &s->at, QUIC_APP_INTERNAL, false, NULL);
	if (link != SCRIPT_ANSWERS)
		return;
	buf_init(&out, r->script ? SCRIPT_BYTES_MAX : MSG_REPLY_MAX);
	rv = r->script ? script_encode(r, enroll_signer(s->enroll), s->memory, &out, &e)
		       : reply_encode(r, enroll_signer(s->enroll), &out, &e);
	if (!rv)
		s->replied |= !quic_respond(q, r->stream, (const uint8_t *)out.data, out.len);
	buf_fini(&out);
	script_remember(s->memory, r);
}

/* Replies that a script holds back until this peer's next one has left. */
static void answer_held(struct server *s, const struct enroll_peer *peer)
{
	struct reply *r, *next;

	for (r = STAILQ_FIRST(&s->held); r; r = next) {
		next = STAILQ_NEXT(r, next);
		if (r->peer && r->peer != peer)
			continue;
		STAILQ_REMOVE(&s->held, r, reply, next);
		if (r->peer)
			answer(s, r);
		reply_free(r);
	}
}

/* Is `r` kept for later, as its script says? Takes it then. */
static bool kept(struct server *s, struct reply *r)
{
	json_t *late = json_object_get(r->script, "late_ns");

	if (json_is_true(json_object_get(r->script, "with_next"))) {
		STAILQ_INSERT_TAIL(&s->held, r, next);
		return true;
	}
	if (late)
		put_off(s, r, time_add(s->at.now, (time_ns)json_integer_value(late)));
	return late != NULL;
}

/* Takes `r`; false: dead. */
static bool send_reply(struct server *s, struct reply *r)
{
	const struct fault *f;
	bool alive = true;

	if (r->drop || !r->peer)
		goto out;
	if (!r->said) {
		f = JOURNAL(s->journal, s->at.now, "server", r->uuid[0] ? r->uuid : NULL, r->req[0] ? r->req : NULL,
			    r->reg[0] ? r->reg : NULL, J_SERVER_REPLY, JS(RESOURCE, resource_text(r)),
			    JI(CODE, r->code), JS(WHY, r->why));
		r->said = true;
		server_foresee_reply(s, r);
		alive = !server_act(s, f, r);
		if (!alive)
			server_die(s, fault_name(f));
		if (!alive || r->drop || script_link(r->script) == SCRIPT_SILENT)
			goto out;
		r->due = 0; /* of the lab's `delay`, which is over */
		if (kept(s, r))
			return true;
	}
	answer(s, r);
	answer_held(s, r->peer);
out:
	reply_free(r);
	return alive;
}

static bool send_replies(struct server *s)
{
	struct reply *r;

	while ((r = STAILQ_FIRST(&s->fx.replies))) {
		STAILQ_REMOVE_HEAD(&s->fx.replies, next);
		if (s->delay)
			put_off(s, r, time_add(s->at.now, s->delay));
		else if (!send_reply(s, r))
			return false;
	}
	while ((r = STAILQ_FIRST(&s->delayed)) && r->due <= s->at.now) {
		STAILQ_REMOVE_HEAD(&s->delayed, next);
		if (!send_reply(s, r))
			return false;
	}
	return true;
}

/* Commit, journal, SMS, replies, in this order; true where the server goes on. */
static bool perform(struct server *s)
{
	bool writes = store_dirty(s->store), said;
	int rv;

	server_foresee(s);
	if (writes && server_reach(s, CRASH_BEFORE_COMMIT))
		return false;
	/* planted: only in the last tenth of a second, whatever was promised before */
	rv = s->at.now % NS_PER_S < NS_PER_S * 9 / 10 && PLANTED(REPLY_BEFORE_COMMIT) ? 0 : server_commit(s);
	if (s->dead || (writes && !rv && server_reach(s, CRASH_AFTER_COMMIT)))
		return false;
	said = !STAILQ_EMPTY(&s->fx.replies) || !TAILQ_EMPTY(&s->fx.sms);
	if (!server_write_journal(s) || (said && server_reach(s, CRASH_AFTER_JOURNAL)))
		return false;
	hand_sms(s);
	return !(s->handed_sms && server_reach(s, CRASH_AFTER_SMS)) && send_replies(s);
}

/* The store is gone for good: the last refusals get a moment to leave (QUIC paces them). */
static bool drained(struct server *s)
{
	if (!store_broken(s->store)) {
		s->ends_at = 0;
		return false;
	}
	if (!s->ends_at)
		s->ends_at = time_add(s->at.now, DRAIN_NS);
	return s->at.now >= s->ends_at;
}

int server_turn(struct server *s, const struct instant *at, struct dgram_sink *sink)
{
	bool broken, all_out;

	if (deaf(s))
		return 0;
	server_set_time(s, at);
	s->handed_sms = s->replied = false;
	quic_expire(s->quic, &s->at);
	enroll_expire(s->enroll, &s->at, &s->fx);
	if (s->stopping && !s->said_down) {
		SERVER_EVENT(s, J_SERVER_STATE, JS(STATE, "down"));
		s->said_down = true;
	}
	if (!perform(s))
		return 0;
	broken = drained(s);
	all_out = quic_output(s->quic, &s->at, sink);
	if (s->stopping || broken) {
		/* behind the replies: a close would overtake them */
		quic_shutdown(s->quic, &s->at);
		all_out = quic_output(s->quic, &s->at, sink);
	}
	if (s->replied && server_reach(s, CRASH_AFTER_REPLY))
		return 0;
	/* connections that ended while writing; nothing of theirs waits for a commit */
	if (!store_dirty(s->store) && STAILQ_EMPTY(&s->fx.replies)) {
		server_foresee(s);
		if (!server_write_journal(s))
			return 0;
		effects_reset(&s->fx);
	}
	if (s->stopping && all_out && !broken) {
		store_close(s->store, true);
		s->store = NULL;
		s->stopped = !s->dead; /* inside the storage layer, as it folded its log */
	}
	return broken ? ERR_IO : 0;
}
