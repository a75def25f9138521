#include "tests/server/server_rig.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- storage ---- */

static struct mem_storage *mem_of(struct storage *st)
{
	return (struct mem_storage *)(void *)st;
}

static struct mem_file *find(struct storage *st, const char *name, bool create)
{
	struct mem_storage *m = mem_of(st);

	for (int i = 0; i < MEM_FILES; i++)
		if (m->files[i].exists && strcmp(m->files[i].name, name) == 0)
			return &m->files[i];
	if (!create)
		return NULL;
	for (int i = 0; i < MEM_FILES; i++) {
		if (!m->files[i].exists && !m->files[i].durable) {
			snprintf(m->files[i].name, sizeof(m->files[i].name), "%s", name);
			m->files[i].exists = true;
			buf_reset(&m->files[i].now);
			buf_reset(&m->files[i].synced);
			return &m->files[i];
		}
	}
	ck_abort_msg("too many files");
	return NULL;
}

static int64_t mem_pread(struct storage *st, const char *name, uint64_t offset, void *out, size_t len)
{
	struct mem_file *f = find(st, name, false);

	if (mem_of(st)->reads_fail)
		return ERR_IO;
	if (!f)
		return ERR_NOTFOUND;
	if (offset >= f->now.len)
		return 0;
	if (len > f->now.len - offset)
		len = f->now.len - offset;
	memcpy(out, f->now.data + offset, len);
	return (int64_t)len;
}

static int grow(struct buf *b, size_t len)
{
	static const char zeros[4096];

	while (b->len < len)
		if (buf_add(b, zeros, len - b->len < sizeof(zeros) ? len - b->len : sizeof(zeros)))
			return ERR_LIMIT;
	return 0;
}

static int mem_pwrite(struct storage *st, const char *name, uint64_t offset, const void *data, size_t len)
{
	struct mem_storage *m = mem_of(st);
	struct mem_file *f = find(st, name, true);

	m->writes++;
	if (m->read_only)
		return ERR_IO;
	if (m->full_from && m->writes >= m->full_from)
		return ERR_LIMIT;
	if (grow(&f->now, offset + len))
		return ERR_LIMIT;
	memcpy(f->now.data + offset, data, len);
	return 0;
}

static int mem_truncate(struct storage *st, const char *name, uint64_t size)
{
	struct mem_file *f = find(st, name, true);

	if (size < f->now.len)
		f->now.len = size;
	return grow(&f->now, size);
}

static int64_t mem_size(struct storage *st, const char *name)
{
	struct mem_file *f = find(st, name, false);

	return f ? (int64_t)f->now.len : ERR_NOTFOUND;
}

static int mem_sync(struct storage *st, const char *name)
{
	struct mem_storage *m = mem_of(st);
	struct mem_file *f = find(st, name, false);

	if (m->sync_fails) {
		m->sync_fails--;
		return ERR_IO;
	}
	if (!f)
		return ERR_NOTFOUND;
	buf_reset(&f->synced);
	f->durable = true;
	return f->now.len ? buf_add(&f->synced, f->now.data, f->now.len) : 0;
}

static int mem_remove(struct storage *st, const char *name)
{
	struct mem_file *f = find(st, name, false);

	if (!f)
		return ERR_NOTFOUND;
	f->exists = f->durable = false;
	return 0;
}

static int mem_rename(struct storage *st, const char *from, const char *to)
{
	struct mem_file *f = find(st, from, false);

	if (!f)
		return ERR_NOTFOUND;
	mem_remove(st, to);
	snprintf(f->name, sizeof(f->name), "%s", to);
	return 0;
}

static int mem_sync_dir(struct storage *st)
{
	(void)st;
	return 0;
}

static const struct storage_ops mem_ops = {
	.pread = mem_pread,
	.pwrite = mem_pwrite,
	.truncate = mem_truncate,
	.size = mem_size,
	.sync = mem_sync,
	.rename = mem_rename,
	.remove = mem_remove,
	.sync_dir = mem_sync_dir,
};

void mem_init(struct mem_storage *m)
{
	memset(m, 0, sizeof(*m));
	m->base.ops = &mem_ops;
	for (int i = 0; i < MEM_FILES; i++) {
		buf_init(&m->files[i].now, 64u << 20);
		buf_init(&m->files[i].synced, 64u << 20);
	}
}

void mem_fini(struct mem_storage *m)
{
	for (int i = 0; i < MEM_FILES; i++) {
		buf_fini(&m->files[i].now);
		buf_fini(&m->files[i].synced);
	}
}

void mem_crash(struct mem_storage *m)
{
	for (int i = 0; i < MEM_FILES; i++) {
		struct mem_file *f = &m->files[i];

		f->exists = f->durable;
		buf_reset(&f->now);
		if (f->synced.len)
			buf_add(&f->now, f->synced.data, f->synced.len);
	}
}

struct buf *mem_file(struct mem_storage *m, const char *name)
{
	struct mem_file *f = find(&m->base, name, false);

	return f ? &f->now : NULL;
}

/* ---- secrets and keys ---- */

static void secret_from_rng(struct secret_source *src, void *out, size_t len)
{
	rng_bytes(&((struct test_secret *)(void *)src)->rng, out, len);
}

void test_secret_init(struct test_secret *s, uint64_t seed)
{
	s->base.fill = secret_from_rng;
	rng_init(&s->rng, seed, "test", "secret");
}

static void free_pki(void);
static struct pki pki;

const struct pki *test_pki(void)
{
	struct pki_options o = {.now_s = 1700000000};
	struct err e = {0};

	if (!pki.token_key) {
		ck_assert_msg(pki_make(&o, &pki, &e) == 0, "%s", e.text);
		atexit(free_pki);
	}
	return &pki;
}

static void free_pki(void)
{
	pki_fini(&pki);
}

const char *const test_uuids[4] = {
	"ee9f2110-5843-11e9-a9ba-139bd26c8b4b", "f09bdb70-5843-11e9-a9ba-139bd26c8b4b",
	"f0f741e0-5843-11e9-a9ba-139bd26c8b4b", "f197c7a0-5843-11e9-a9ba-139bd26c8b4b"};

struct registry *test_registry(void)
{
	return test_registry_but(false, false);
}

struct registry *test_registry_but(bool gone, bool disabled)
{
	struct registry_device d[4];
	struct registry *r;
	struct err e = {0};
	char *text;

	memset(d, 0, sizeof(d));
	for (int i = 0; i < 4; i++) {
		snprintf(d[i].uuid, sizeof(d[i].uuid), "%s", test_uuids[i]);
		snprintf(d[i].device_type, sizeof(d[i].device_type), "thermometer");
		snprintf(d[i].serial_id, sizeof(d[i].serial_id), "000000000%u", (unsigned)i % 10);
		snprintf(d[i].network_type, sizeof(d[i].network_type), "Mobile");
		snprintf(d[i].network_id, sizeof(d[i].network_id), "2140700000000%u", (unsigned)i % 10);
		snprintf(d[i].msisdn, sizeof(d[i].msisdn), "+3460000000%u", (unsigned)i % 10);
		snprintf(d[i].methods[0], sizeof(d[i].methods[0]), i == 2 ? "TOTP" : "SMS");
		if (i == 2)
			snprintf(d[i].totp_secret, sizeof(d[i].totp_secret), "JBSWY3DPEHPK3PXP");
		d[i].disabled = i == 3 || (i == 0 && disabled);
	}
	text = registry_dump(d + gone, gone ? 3 : 4);
	r = registry_parse(text, strlen(text), "test", &e);
	ck_assert_msg(r != NULL, "%s", e.text);
	free(text);
	return r;
}

/* ---- the asker ---- */

static const uint8_t run_key[32] = "run key of a test, 32 bytes long";

void ask_open(struct ask *a)
{
	struct store_config sc = {.path = "server.db", .vfs = "mem", .boot_id = a->boot_id, .settings = &a->settings};
	struct enroll_config ec = {.registry = a->registry,
				   .settings = &a->settings,
				   .token_key = test_pki()->token_key,
				   .store_key = test_pki()->store_key,
				   .run_key = run_key,
				   .secret = &a->secret.base};
	struct err e = {0};

	store_vfs_world("mem", &a->secret.base, a->at.unix_ms);
	a->store = store_open(&sc, &a->at, &e);
	ck_assert_msg(a->store != NULL, "%s", e.text);
	ec.store = a->store;
	a->en = enroll_new(&ec, &a->at, &e);
	ck_assert_msg(a->en != NULL, "%s", e.text);
	ck_assert_int_eq(enroll_strip(a->en, &a->at, a->registry, &a->fx), 0);
	ck_assert_int_eq(store_commit(a->store, &a->at), 0);
}

static void ask_close(struct ask *a)
{
	enroll_free(a->en);
	store_close(a->store, false);
}

void ask_init(struct ask *a)
{
	struct addr addr;

	memset(a, 0, sizeof(*a));
	mem_init(&a->mem);
	ck_assert_int_eq(store_vfs_register("mem", &a->mem.base), 0);
	test_secret_init(&a->secret, 1);
	a->registry = test_registry();
	settings_default(&a->settings);
	a->at = (struct instant){.now = 1000 * NS_PER_S, .boot = 5000 * NS_PER_S, .unix_ms = 1700000000000};
	snprintf(a->boot_id, sizeof(a->boot_id), "boot-1");
	effects_init(&a->fx);
	ck_assert_int_eq(addr_parse("192.0.2.1:4000", &addr), 0);
	peer_init(&a->peer, &addr, NULL);
	ask_open(a);
}

void ask_fini(struct ask *a)
{
	peer_gone(&a->peer);
	effects_fini(&a->fx);
	ask_close(a);
	store_vfs_unregister("mem");
	mem_fini(&a->mem);
	registry_free(a->registry);
	for (unsigned i = 0; i < a->slots; i++) {
		free(a->tokens[i][0]);
		free(a->tokens[i][1]);
	}
}

void ask_restart(struct ask *a, bool boot)
{
	ask_close(a);
	mem_crash(&a->mem);
	if (boot) {
		snprintf(a->boot_id, sizeof(a->boot_id), "boot-%d", atoi(a->boot_id + 5) + 1);
		a->at.boot = 10 * NS_PER_S;
	}
	ask_open(a);
}

static void note_event(struct ask *a, const struct journal_event *ev)
{
	a->events[ev->kind]++;
	if (ev->kind == J_CODE_VOID)
		snprintf(a->last_void, sizeof(a->last_void), "%s", journal_text(ev, JF_WHY));
	if (ev->kind == J_TOKEN_REVOKED)
		snprintf(a->last_revoked, sizeof(a->last_revoked), "%s", journal_text(ev, JF_WHY));
}

static void note_sms(struct ask *a, const struct server_sms *sms)
{
	struct smstext t;

	ck_assert(smstext_parse(sms->text, &t));
	ck_assert_str_eq(t.uuid, sms->uuid);
	for (int i = 0; i < ASK_REGS; i++)
		if (strncmp(ask_reg(i), t.r, 8) == 0 && !ask_reg(i)[0] == !t.r[0])
			snprintf(a->codes[i], sizeof(a->codes[i]), "%s", t.code);
	snprintf(a->last_id, sizeof(a->last_id), "%s", sms->id);
	snprintf(a->last_to, sizeof(a->last_to), "%s", sms->to);
	a->sms++;
}

static void note_reply(struct ask *a, const struct reply *r)
{
	json_t *tokens = json_object_get(r->payload, "tokens");
	const char *message = json_string_value(json_object_get(r->payload, "message"));

	a->code = r->code;
	snprintf(a->why, sizeof(a->why), "%s", r->why);
	snprintf(a->message, sizeof(a->message), "%s", message ? message : "");
	a->retry_after_s = r->retry_after_s;
	a->is_signed = r->sign;
	a->command[0] = '\0';
	if (r->command) {
		char *text = json_dumps(r->command, JSON_COMPACT | JSON_SORT_KEYS);

		snprintf(a->command, sizeof(a->command), "%s", text);
		free(text);
	}
	if (!tokens)
		return;
	ck_assert_uint_lt(a->slots, ASK_SLOTS);
	a->tokens[a->slots][0] = strdup(json_string_value(json_object_get(tokens, "accessToken")));
	a->tokens[a->slots][1] = strdup(json_string_value(json_object_get(tokens, "refreshToken")));
	a->slots++;
}

static void gateway_speaks(struct ask *a, const char *id)
{
	static const enum sms_status status[] = {
		[GATEWAY_QUEUES] = SMS_QUEUED, [GATEWAY_SUBMITS] = SMS_SUBMITTED, [GATEWAY_BUSY] = SMS_BUSY,
		[GATEWAY_FAILS] = SMS_FAILED,  [GATEWAY_FAILS_CMS] = SMS_FAILED,  [GATEWAY_UNKNOWN] = SMS_UNKNOWN};

	if (a->gateway != GATEWAY_SILENT)
		enroll_sms_status(a->en, &a->at, id, status[a->gateway], a->gateway == GATEWAY_BUSY ? 70 : -1,
				  a->gateway == GATEWAY_FAILS_CMS ? 38 : -1, &a->fx);
}

int ask_turn(struct ask *a)
{
	char ids[8][33];
	unsigned n = 0;
	struct effect_event *ev;
	struct effect_sms *sms;
	struct reply *r;
	int rv;

	enroll_expire(a->en, &a->at, &a->fx);
	rv = store_commit(a->store, &a->at);
	if (rv)
		enroll_failed(a->en, &a->fx);
	else
		enroll_committed(a->en);
	TAILQ_FOREACH(ev, &a->fx.events, next)
		note_event(a, &ev->ev);
	TAILQ_FOREACH(sms, &a->fx.sms, next) {
		note_sms(a, &sms->sms);
		if (n < 8)
			snprintf(ids[n++], sizeof(ids[0]), "%s", sms->sms.id);
	}
	while ((r = STAILQ_FIRST(&a->fx.replies))) {
		STAILQ_REMOVE_HEAD(&a->fx.replies, next);
		note_reply(a, r);
		reply_free(r);
	}
	effects_reset(&a->fx);
	for (unsigned i = 0; i < n; i++)
		gateway_speaks(a, ids[i]);
	return n && a->gateway != GATEWAY_SILENT ? ask_turn(a) : rv;
}

void ask_wait(struct ask *a, int64_t ms)
{
	time_ns until = a->at.now + (time_ns)ms * NS_PER_MS;

	while (enroll_deadline(a->en) <= until) {
		time_ns step = enroll_deadline(a->en) > a->at.now ? enroll_deadline(a->en) - a->at.now : 0;

		a->at.now += step;
		a->at.boot += step;
		a->at.unix_ms += (int64_t)((step + NS_PER_MS - 1) / NS_PER_MS);
		ask_turn(a);
	}
	ms = (int64_t)((until - a->at.now) / NS_PER_MS);
	a->at.boot += until - a->at.now;
	a->at.now = until;
	a->at.unix_ms += ms;
}

const char *ask_reg(int n)
{
	static char regs[32][REGISTRATION_LEN + 1];

	ck_assert(n >= 0 && n < 32);
	/* no two begin alike: that is what an SMS names them by */
	if (n)
		snprintf(regs[n], sizeof(regs[n]), "%08x%024x", (unsigned)n << 24 | 1u, (unsigned)n);
	return regs[n];
}

void ask_prepare(struct msg_request *m, enum msg_resource res, int dev, int reg)
{
	memset(m, 0, sizeof(*m));
	m->resource = res;
	snprintf(m->resource_name, sizeof(m->resource_name), "%s", msg_resource_name(res));
	snprintf(m->nonce, sizeof(m->nonce), "0123456789abcdef0123456789abcdef");
	snprintf(m->uuid, sizeof(m->uuid), "%s", dev < 0 ? "00000000-0000-0000-0000-000000000000" : test_uuids[dev]);
	snprintf(m->device_type, sizeof(m->device_type), "thermometer");
	snprintf(m->serial_id, sizeof(m->serial_id), "000000000%u", dev < 0 ? 9u : (unsigned)dev % 10);
	snprintf(m->network_type, sizeof(m->network_type), "Mobile");
	snprintf(m->network_id, sizeof(m->network_id), "2140700000000%u", dev < 0 ? 9u : (unsigned)dev % 10);
	snprintf(m->methods[0], sizeof(m->methods[0]), "SMS");
	snprintf(m->methods[1], sizeof(m->methods[1]), "TOTP");
	m->methods_n = 2;
	snprintf(m->registration, sizeof(m->registration), "%s", ask_reg(reg));
	m->timestamp = 1700000000000;
}

void ask_request(struct ask *a, struct msg_request *m)
{
	struct reply *r = reply_new(&a->peer, 0, m);

	a->code = 0;
	a->why[0] = a->message[0] = '\0';
	enroll_request(a->en, &a->at, r, m, &a->fx);
	ask_turn(a);
	/* each asks on a connection of its own, unless a test says otherwise */
	a->peer.signed_refusals = 0;
}

void ask_register(struct ask *a, int dev, int reg)
{
	struct msg_request m;

	ask_prepare(&m, MSG_REGISTER, dev, reg);
	ask_request(a, &m);
}

void ask_login(struct ask *a, int dev, int reg, const char *code)
{
	struct msg_request m;

	ask_prepare(&m, MSG_LOGIN, dev, reg);
	snprintf(m.code, sizeof(m.code), "%s", code);
	ask_request(a, &m);
}

static void with_token(struct ask *a, enum msg_resource res, int dev, const char *token)
{
	struct msg_request m;

	ask_prepare(&m, res, dev, 0);
	m.authentication = strdup(token ? token : "");
	m.authentication_len = strlen(m.authentication);
	ask_request(a, &m);
	free(m.authentication);
}

void ask_publish(struct ask *a, int dev, const char *token)
{
	with_token(a, MSG_PUBLISH, dev, token);
}

void ask_refresh(struct ask *a, int dev, const char *token)
{
	with_token(a, MSG_REFRESH, dev, token);
}
