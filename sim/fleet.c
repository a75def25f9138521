#include "sim/fleet.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "sim/fleet_priv.h"

#define ROUNDS_MAX 64 /* of one turn; what is left comes with the next */
/* From one power on to the next: what cuts power as it comes back would else go round at one
 * instant for ever. */
#define ON_MIN     NS_PER_MS

/* ---- making one ---- */

static int pin_keys(struct fleet *f, struct err *e)
{
	struct device_shared *sh = &f->shared;
	const char *const *pem = f->cfg.server_keys;
	int rv = 0;

	sh->keys = token_keys_new();
	sh->keys_no_kid = token_keys_new();
	if (!sh->keys || !sh->keys_no_kid)
		return err_set(e, ERR_NOMEM, "out of memory");
	token_keys_allow_no_kid(sh->keys_no_kid, true);
	for (unsigned i = 0; pem && pem[i] && !rv; i++) {
		rv = token_keys_add(sh->keys, pem[i], e);
		if (!rv)
			rv = token_keys_add(sh->keys_no_kid, pem[i], e);
	}
	return rv;
}

struct fleet *fleet_new(const struct fleet_config *cfg, struct err *e)
{
	struct fleet *f = calloc(1, sizeof(*f));
	const struct settings *st = &cfg->settings;

	if (!f) {
		err_set(e, ERR_NOMEM, "out of memory");
		return NULL;
	}
	f->cfg = *cfg;
	f->local = cfg->local;
	f->port_each = cfg->port_each;
	f->server = cfg->server;
	STAILQ_INIT(&f->notes);
	heap_init(&f->timers);
	device_effects_init(&f->fx);
	buf_init(&f->file, DEVICE_FILE_MAX);
	f->server_name = strdup(cfg->server_name);
	f->alpn = cfg->alpn ? strdup(cfg->alpn) : NULL;
	if (!f->server_name || (cfg->alpn && !f->alpn)) {
		err_set(e, ERR_NOMEM, "out of memory");
		goto fail;
	}
	f->shared.request_timeout = setting_ns(st, SETTING_REQUEST_TIMEOUT);
	f->shared.code_wait = setting_ns(st, SETTING_CODE_WAIT);
	f->shared.code_hold = setting_ns(st, SETTING_CODE_HOLD);
	f->shared.backoff_min = setting_ns(st, SETTING_BACKOFF_MIN);
	f->shared.backoff_max = setting_ns(st, SETTING_BACKOFF_MAX);
	f->shared.seed = cfg->seed;
	f->shared.run_key = cfg->run_key;
	f->shared.secret = cfg->secret;
	if (pin_keys(f, e) || fleet_net_open(f, e))
		goto fail;
	return f;
fail:
	fleet_free(f);
	return NULL;
}

static void drop_sms(struct fleet_device *fd)
{
	struct waiting_sms *s = STAILQ_FIRST(&fd->sms);

	STAILQ_REMOVE_HEAD(&fd->sms, next);
	fd->sms_n--;
	explicit_bzero(s->text, strlen(s->text));
	free(s->text);
	free(s->from);
	free(s);
}

static void device_end(struct fleet_device *fd)
{
	while (!STAILQ_EMPTY(&fd->sms))
		drop_sms(fd);
	device_free(fd->dev);
	storage_mem_free(fd->own);
	free(fd);
}

void fleet_free(struct fleet *f)
{
	if (!f)
		return;
	quic_endpoint_free(f->quic);
	quic_credentials_free(f->credentials);
	while (!STAILQ_EMPTY(&f->notes)) {
		struct note *n = STAILQ_FIRST(&f->notes);

		STAILQ_REMOVE_HEAD(&f->notes, next);
		fleet_note_free(n);
	}
	HASH_CLEAR(hh, f->by_uuid);
	for (unsigned i = 0; i < f->n; i++)
		device_end(f->devices[i]);
	free(f->devices);
	heap_fini(&f->timers);
	device_effects_fini(&f->fx);
	if (f->file.data)
		explicit_bzero(f->file.data, f->file.cap);
	buf_fini(&f->file);
	token_keys_free(f->shared.keys);
	token_keys_free(f->shared.keys_no_kid);
	free(f->server_name);
	free(f->alpn);
	free(f);
}

static int room_for_one(struct fleet *f)
{
	unsigned cap = f->cap ? 2 * f->cap : 16;
	struct fleet_device **p;

	if (f->n < f->cap)
		return 0;
	p = realloc(f->devices, cap * sizeof(struct fleet_device *));
	if (!p)
		return ERR_NOMEM;
	f->devices = p;
	f->cap = cap;
	return 0;
}

int fleet_add(struct fleet *f, const struct fleet_device_config *d, struct err *e)
{
	struct device_config cfg = {.label = d->label,
				    .identity = &d->identity,
				    .methods = d->methods,
				    .hold = d->hold,
				    .accept_unsigned = d->accept_unsigned,
				    .defects = d->defects,
				    .any_registration = d->any_registration,
				    .senders = d->senders,
				    .secret = d->secret};
	struct fleet_device *fd;
	const char *uuid;

	if (!uuid_valid(d->identity.uuid))
		return err_set(e, ERR_INVALID, "device %s: '%s' is no uuid", d->label, d->identity.uuid);
	if (fleet_find(f, d->identity.uuid) >= 0)
		return err_set(e, ERR_EXISTS, "device %s: uuid %s is in the fleet already", d->label,
			       d->identity.uuid);
	fd = room_for_one(f) ? NULL : calloc(1, sizeof(*fd));
	if (!fd)
		return err_set(e, ERR_NOMEM, "out of memory");
	STAILQ_INIT(&fd->sms);
	fd->fleet = f;
	fd->power_on_at = fd->off_for = fd->disk_until = TIME_NEVER;
	fd->unsynced = -1;
	fd->secret = d->secret;
	fd->dev = device_new(&f->shared, &cfg);
	fd->storage = d->storage;
	if (!fd->storage) {
		fd->own = storage_mem_new(UINT64_MAX);
		fd->storage = fd->own ? storage_mem_storage(fd->own) : NULL;
	}
	if (!fd->dev || !fd->storage)
		goto nomem;
	uuid = device_uuid(fd->dev);
	HASH_ADD_KEYPTR(hh, f->by_uuid, uuid, UUID_LEN, fd);
	if (fd->lost)
		goto nomem;
	fd->index = f->n;
	f->devices[f->n++] = fd;
	f->in_state[STATE_OFF]++;
	return (int)fd->index;
nomem:
	device_end(fd);
	return err_set(e, ERR_NOMEM, "out of memory");
}

/* ---- steps and effects ---- */

static const struct fault *emit_effect(struct fleet *f, struct fleet_device *fd, const struct device_effect *e)
{
	struct journal_event ev = {.t = f->at.now,
				   .kind = e->journal,
				   .actor = device_label(fd->dev),
				   .dev = device_uuid(fd->dev),
				   .req = e->req[0] ? e->req : NULL,
				   .reg = e->reg[0] ? e->reg : NULL,
				   .n = e->n};

	memcpy(ev.v, e->v, e->n * sizeof(e->v[0]));
	return journal_emit(f->cfg.journal, &ev);
}

static void show_state(struct fleet *f, struct fleet_device *fd, const struct device_effect *e)
{
	if (e->from != e->to)
		fleet_count_one(f, fd);
	fleet_fault(fd, emit_effect(f, fd, e));
	f->in_state[fd->shown]--;
	fd->shown = e->to;
	f->in_state[fd->shown]++;
	if (f->cfg.changed)
		f->cfg.changed(f->cfg.ctx, fd->index, e->from, e->to);
}

/* A device whose flash fails goes on with what it has in RAM; the old file stands. */
static void store(struct fleet *f, struct fleet_device *fd, const struct device_effect *e)
{
	const char *uuid = device_uuid(fd->dev);
	int rv;

	if (e->kind == DEVICE_FX_WRITE)
		fd->quiet = false;
	if (fd->quiet)
		return;
	fleet_heal_disk(fd);
	rv = device_store(fd->dev, &f->fx, e, fd->storage);
	if (!rv)
		return;
	fd->quiet = true;
	fleet_fault(fd, JOURNAL(f->cfg.journal, f->at.now, device_label(fd->dev), uuid, NULL, NULL, J_DEVICE_IGNORED,
				JS(WHY, "store_failed"), JS(STATE, state_full(fd->shown))));
}

static bool is_store_news(const struct device_effect *e)
{
	return e->journal == J_TOKENS_WRITTEN || e->journal == J_TOKENS_SYNCED || e->journal == J_TOKENS_RENAMED;
}

static void perform(struct fleet *f, struct fleet_device *fd, const struct device_effect *e)
{
	switch (e->kind) {
	case DEVICE_FX_JOURNAL:
		if (!fd->quiet || !is_store_news(e))
			fleet_fault(fd, emit_effect(f, fd, e));
		break;
	case DEVICE_FX_STATE:
		show_state(f, fd, e);
		break;
	case DEVICE_FX_WRITE:
	case DEVICE_FX_SYNC:
	case DEVICE_FX_RENAME:
	case DEVICE_FX_SYNC_DIR:
		store(f, fd, e);
		break;
	case DEVICE_FX_REQUEST:
		fleet_request(f, fd, e->id, f->fx.bytes.data + e->at, e->len);
		break;
	case DEVICE_FX_TIMED_OUT:
		fleet_timed_out(fd, e->id);
		break;
	case DEVICE_FX_CLOSE:
		fleet_close(f, fd, false);
		break;
	case DEVICE_FX_SILENCE:
		fleet_close(f, fd, true);
		break;
	case DEVICE_FX_ABANDON:
		fleet_abandon(f, fd);
		break;
	}
}

static void arm(struct fleet *f, struct fleet_device *fd)
{
	time_ns deadline = fd->shown == STATE_OFF ? fd->power_on_at : device_deadline(fd->dev);
	int rv;

	if (deadline == TIME_NEVER) {
		heap_remove(&f->timers, &fd->timer);
		return;
	}
	/* cannot fail for one that is in; for the rest the memory of this one node is needed */
	rv = heap_set(&f->timers, &fd->timer, deadline);
	if (rv)
		JOURNAL(f->cfg.journal, f->at.now, device_label(fd->dev), device_uuid(fd->dev), NULL, NULL,
			J_DEVICE_IGNORED, JS(WHY, "out_of_memory"), JS(STATE, state_full(fd->shown)));
}

/* The connection goes without a word: the peer hears nothing, the device notices. */
static void drop_connection(struct fleet *f, struct fleet_device *fd)
{
	struct note *n;

	fd->drop = false;
	if (!fd->conn)
		return;
	fleet_abandon(f, fd);
	n = fleet_note(fd, NOTE_LINK_LOST);
	if (n)
		n->id = device_in_flight(fd->dev);
}

void fleet_step(struct fleet *f, struct fleet_device *fd, const struct device_event *ev)
{
	struct instant at = f->at;

	at.unix_ms += fd->clock_ms;
	fd->quiet = false;
	device_step(fd->dev, ev, &at, &f->fx);
	for (unsigned i = 0; i < f->fx.n; i++) {
		perform(f, fd, &f->fx.e[i]);
		if (fd->cut && ev->kind != DEVICE_POWER_OFF) {
			device_interrupted(fd->dev, &f->fx, i + 1);
			fleet_power_cut(f, fd);
			return;
		}
	}
	fd->cut = false;
	arm(f, fd);
	if (fd->drop)
		drop_connection(f, fd);
}

void fleet_power_cut(struct fleet *f, struct fleet_device *fd)
{
	struct device_event off = {.kind = DEVICE_POWER_OFF};

	fd->drop = false;
	fd->power_on_at = fd->off_for == TIME_NEVER ? TIME_NEVER : time_add(f->at.now, fd->off_for);
	if (fd->power_on_at < fd->next_on)
		fd->power_on_at = fd->next_on;
	fd->off_for = TIME_NEVER;
	fd->boots++;
	if (fd->shown != STATE_OFF)
		fleet_step(f, fd, &off);
	else
		arm(f, fd);
	/* what fired while the power went has nothing left to cut */
	fd->cut = false;
	fd->off_for = TIME_NEVER;
	if (fd->own)
		storage_mem_power_fails(fd->own, f->shared.seed, device_label(fd->dev), f->at.now, fd->unsynced);
	fd->unsynced = -1;
}

/* ---- power, SMS ---- */

static void switch_on(struct fleet *f, struct fleet_device *fd)
{
	struct device_event on = {.kind = DEVICE_POWER_ON}, sms = {.kind = DEVICE_SMS};
	char name[UUID_LEN + 16];
	unsigned waiting;

	if (fd->shown != STATE_OFF)
		return;
	fd->power_on_at = TIME_NEVER;
	fd->next_on = time_add(f->at.now, ON_MIN);
	fd->boots++;
	device_file_name(fd->dev, name, sizeof(name));
	buf_reset(&f->file);
	if (!storage_read(fd->storage, name, &f->file) && f->file.data) {
		on.data = f->file.data;
		on.len = f->file.len;
	}
	fleet_step(f, fd, &on);
	for (waiting = fd->sms_n; waiting && fd->shown != STATE_OFF; waiting--) {
		sms.from = STAILQ_FIRST(&fd->sms)->from;
		sms.text = STAILQ_FIRST(&fd->sms)->text;
		fleet_step(f, fd, &sms);
		drop_sms(fd);
	}
}

void fleet_power_on(struct fleet *f, const struct instant *at, unsigned index)
{
	struct fleet_device *fd;

	assert(index < f->n);
	fd = f->devices[index];
	f->at = *at;
	if (fd->shown == STATE_OFF && at->now < fd->next_on) {
		fd->power_on_at = fd->next_on;
		arm(f, fd);
		return;
	}
	switch_on(f, fd);
}

void fleet_power_off(struct fleet *f, const struct instant *at, unsigned index)
{
	struct fleet_device *fd;

	assert(index < f->n);
	fd = f->devices[index];
	f->at = *at;
	fd->power_on_at = fd->off_for = TIME_NEVER;
	if (fd->shown == STATE_OFF)
		arm(f, fd); /* a power cycle that was under way ends here */
	else
		fleet_power_cut(f, fd);
}

void fleet_drop_connection(struct fleet *f, const struct instant *at, unsigned index)
{
	assert(index < f->n);
	f->at = *at;
	drop_connection(f, f->devices[index]);
}

static int keep_sms(struct fleet_device *fd, const char *from, const char *text)
{
	struct waiting_sms *s = calloc(1, sizeof(*s));

	if (!s)
		return ERR_NOMEM;
	s->from = strdup(from);
	s->text = strdup(text);
	if (!s->from || !s->text) {
		free(s->from);
		free(s->text);
		free(s);
		return ERR_NOMEM;
	}
	STAILQ_INSERT_TAIL(&fd->sms, s, next);
	if (++fd->sms_n > FLEET_SMS_KEPT)
		drop_sms(fd);
	return 0;
}

int fleet_sms(struct fleet *f, const struct instant *at, const char *uuid, const char *from, const char *text)
{
	struct device_event ev = {.kind = DEVICE_SMS, .from = from ? from : "", .text = text};
	int index = fleet_find(f, uuid);
	struct fleet_device *fd;

	if (index < 0)
		return index;
	fd = f->devices[index];
	f->at = *at;
	if (fd->shown == STATE_OFF)
		return keep_sms(fd, ev.from, text);
	fleet_step(f, fd, &ev);
	return 0;
}

void fleet_code(struct fleet *f, const struct instant *at, unsigned index, const char *code)
{
	struct device_event ev = {.kind = DEVICE_CODE, .text = code};

	assert(index < f->n);
	f->at = *at;
	if (f->devices[index]->shown != STATE_OFF)
		fleet_step(f, f->devices[index], &ev);
}

/* ---- turns ---- */

void fleet_datagram(struct fleet *f, const struct instant *at, const struct addr *local,
		    const struct addr *remote, unsigned ecn, const uint8_t *data, size_t len)
{
	f->at = *at;
	f->dirty = true;
	quic_input(f->quic, at, local, remote, ecn, data, len);
}

time_ns fleet_deadline(const struct fleet *f)
{
	if (f->blocked)
		return TIME_NEVER; /* whoever owns the sink comes back when it has room */
	if (f->dirty || !STAILQ_EMPTY(&f->notes))
		return f->at.now;
	return time_min(heap_deadline(&f->timers), quic_deadline(f->quic));
}

static void act_on(struct fleet *f, struct note *n)
{
	struct fleet_device *fd = n->fd;
	struct device_event ev = {.id = n->id, .status = n->status};

	if (n->boots != fd->boots || fd->shown == STATE_OFF)
		return;
	switch (n->kind) {
	case NOTE_REPLY:
		ev.kind = DEVICE_REPLY;
		ev.response = &n->response;
		if (fd->stale == n->id)
			fd->stale = 0;
		fleet_step(f, fd, &ev);
		break;
	case NOTE_LINK_LOST:
		ev.kind = DEVICE_LINK_LOST;
		fleet_step(f, fd, &ev);
		break;
	case NOTE_FAULT:
		if (fd->cut)
			fleet_power_cut(f, fd);
		else if (fd->drop)
			drop_connection(f, fd);
		break;
	}
}

static void run_notes(struct fleet *f)
{
	while (!STAILQ_EMPTY(&f->notes)) {
		struct note *n = STAILQ_FIRST(&f->notes);

		STAILQ_REMOVE_HEAD(&f->notes, next);
		act_on(f, n);
		fleet_note_free(n);
	}
}

static void run_timers(struct fleet *f)
{
	struct device_event ev = {.kind = DEVICE_TIMER};

	while (heap_deadline(&f->timers) <= f->at.now) {
		struct fleet_device *fd = HEAP_ENTRY(heap_top(&f->timers), struct fleet_device, timer);

		if (fd->shown == STATE_OFF)
			switch_on(f, fd);
		else
			fleet_step(f, fd, &ev);
	}
}

void fleet_turn(struct fleet *f, const struct instant *at, struct dgram_sink *sink)
{
	struct fleet_sink counting;

	fleet_sink_init(&counting, sink);
	f->at = *at;
	f->sink = &counting.base;
	/* what is refused goes silent with its CONNECTION_CLOSE written, so nothing is
	 * decided while the sink is full */
	f->blocked = f->blocked && !quic_output(f->quic, at, f->sink);
	if (!f->blocked && quic_deadline(f->quic) <= at->now)
		quic_expire(f->quic, at);
	for (unsigned round = 0; round < ROUNDS_MAX && !f->blocked; round++) {
		f->dirty = false;
		run_notes(f);
		run_timers(f);
		f->blocked = !quic_output(f->quic, at, f->sink);
		if (STAILQ_EMPTY(&f->notes) && !f->dirty)
			break;
	}
	f->sink = NULL;
}

/* ---- questions ---- */

unsigned fleet_count(const struct fleet *f)
{
	return f->n;
}

enum state_name fleet_state(const struct fleet *f, unsigned index)
{
	assert(index < f->n);
	return f->devices[index]->shown;
}

unsigned fleet_in_state(const struct fleet *f, enum state_name s)
{
	return f->in_state[s];
}

const char *fleet_uuid(const struct fleet *f, unsigned index)
{
	assert(index < f->n);
	return device_uuid(f->devices[index]->dev);
}

int fleet_find(const struct fleet *f, const char *uuid)
{
	struct fleet_device *fd = NULL;

	if (strlen(uuid) == UUID_LEN)
		HASH_FIND(hh, f->by_uuid, uuid, UUID_LEN, fd);
	return fd ? (int)fd->index : ERR_NOTFOUND;
}

void fleet_counts(struct fleet *f, const struct instant *at)
{
	f->at = *at;
	for (unsigned i = 0; i < f->n; i++)
		fleet_count_one(f, f->devices[i]);
}

bool fleet_blocked(const struct fleet *f)
{
	return f->blocked;
}
