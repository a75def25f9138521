#include "tests/sim/device_bench.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/pki.h"
#include "core/smstext.h"

unsigned bench_seen[ROW_END];

static char *private_pem, *public_pem, *foreign_public; /* one set for all benches: RSA keys are dear */

static void fill(struct secret_source *src, void *out, size_t len)
{
	struct bench *b = (struct bench *)((char *)src - offsetof(struct bench, secret));

	rng_bytes(&b->rng, out, len);
}

static void make_keys(void)
{
	char *unused = NULL;

	if (private_pem)
		return;
	ck_assert_int_eq(pki_token_key(&private_pem, &public_pem, NULL), 0);
	ck_assert_int_eq(pki_token_key(&unused, &foreign_public, NULL), 0);
	free(unused);
}

static void free_keys(void) __attribute__((destructor));
static void free_keys(void)
{
	free(private_pem);
	free(public_pem);
	free(foreign_public);
}

void bench_open(struct bench *b, const struct bench_options *o)
{
	static const char *const both[] = {"SMS", "TOTP", NULL};
	struct device_config cfg = {.label = "A[1]",
				    .identity = &b->identity,
				    .methods = o && o->methods ? o->methods : both,
				    .hold = o && o->hold,
				    .accept_unsigned = o && o->accept_unsigned,
				    .any_registration = o && o->any_registration,
				    .senders = o && o->sender ? b->senders : NULL};

	make_keys();
	memset(b, 0, sizeof(*b));
	b->senders[0] = o ? o->sender : NULL;
	rng_init(&b->rng, 1, "bench", "secret");
	b->secret.fill = fill;
	b->shared = (struct device_shared){.request_timeout = 10 * NS_PER_S,
					   .code_wait = 120 * NS_PER_S,
					   .code_hold = 240 * NS_PER_S,
					   .backoff_min = NS_PER_S,
					   .backoff_max = 60 * NS_PER_S,
					   .seed = 0x5eed,
					   .run_key = b->run_key,
					   .secret = &b->secret,
					   .keys = token_keys_new(),
					   .keys_no_kid = token_keys_new()};
	token_keys_allow_no_kid(b->shared.keys_no_kid, true);
	b->public_pem = o && o->foreign_key ? foreign_public : public_pem;
	ck_assert_int_eq(token_keys_add(b->shared.keys, public_pem, NULL), 0);
	ck_assert_int_eq(token_keys_add(b->shared.keys_no_kid, public_pem, NULL), 0);
	b->signer = token_signer_new();
	ck_assert_int_eq(token_signer_add(b->signer, private_pem, b->kid, NULL), 0);
	snprintf(b->identity.uuid, sizeof(b->identity.uuid), "%s", BENCH_UUID);
	snprintf(b->identity.device_type, sizeof(b->identity.device_type), "thermometer");
	snprintf(b->identity.serial_id, sizeof(b->identity.serial_id), "0000000001");
	snprintf(b->identity.network_type, sizeof(b->identity.network_type), "Mobile");
	snprintf(b->identity.network_id, sizeof(b->identity.network_id), "214070000000001");
	if (o && o->totp)
		snprintf(b->identity.totp_secret, sizeof(b->identity.totp_secret), "%s", o->totp);
	b->dev = device_new(&b->shared, &cfg);
	ck_assert_ptr_nonnull(b->dev);
	device_effects_init(&b->fx);
	b->disk = storage_mem_new(UINT64_MAX);
	b->at = (struct instant){.now = NS_PER_S, .boot = NS_PER_S, .unix_ms = 0};
	b->cut_after = NO_CUT;
	b->cut_at = J_END;
}

void bench_close(struct bench *b)
{
	msg_request_fini(&b->request);
	device_free(b->dev);
	device_effects_fini(&b->fx);
	storage_mem_free(b->disk);
	token_keys_free(b->shared.keys);
	token_keys_free(b->shared.keys_no_kid);
	token_signer_free(b->signer);
}

/* ---- performing effects ---- */

static void take_journal(struct bench *b, const struct device_effect *e)
{
	struct journal_event ev = {.kind = e->journal, .n = e->n};

	memcpy(ev.v, e->v, e->n * sizeof(e->v[0]));
	switch (e->journal) {
	case J_DEVICE_STATE:
		ck_assert_uint_lt(b->rows_n, 8);
		ck_assert_str_eq(journal_text(&ev, JF_ROW), row_id(e->row));
		ck_assert_str_eq(journal_text(&ev, JF_FROM), state_full(row_state(e->row)));
		b->rows[b->rows_n++] = e->row;
		b->wait = (time_ns)journal_int(&ev, JF_WAIT_NS, -1);
		bench_seen[e->row]++;
		break;
	case J_DEVICE_IGNORED:
		b->ignored++;
		snprintf(b->why, sizeof(b->why), "%s", journal_text(&ev, JF_WHY));
		break;
	case J_DEVICE_REPLY:
		snprintf(b->why, sizeof(b->why), "%s", journal_text(&ev, JF_WHY));
		break;
	case J_DEVICE_CODE:
		*(strcmp(journal_text(&ev, JF_STATUS), "held") == 0 ? &b->held : &b->used) += 1;
		ck_assert_uint_eq(strlen(journal_text(&ev, JF_CODE_FP)), 16);
		break;
	case J_COMMAND_DONE:
		b->done++;
		break;
	default:
		break;
	}
}

static void take_request(struct bench *b, const struct device_effect *e)
{
	struct err err = {0};
	int rv;

	msg_request_fini(&b->request);
	rv = msg_request_parse(b->fx.bytes.data + e->at, e->len, 8192, 8, &b->request, &err);
	ck_assert_msg(rv == 0, "our own request: %s", err.text);
	ck_assert_uint_eq(strlen(b->request.nonce), NONCE_LEN);
	b->request_id = e->id;
	b->requests++;
}

static void perform(struct bench *b, const struct device_effect *e)
{
	switch (e->kind) {
	case DEVICE_FX_JOURNAL:
	case DEVICE_FX_STATE:
		take_journal(b, e);
		break;
	case DEVICE_FX_REQUEST:
		take_request(b, e);
		break;
	case DEVICE_FX_TIMED_OUT:
		b->timeouts++;
		break;
	case DEVICE_FX_CLOSE:
		b->closes++;
		break;
	case DEVICE_FX_SILENCE:
		b->silences++;
		break;
	case DEVICE_FX_ABANDON:
		b->abandons++;
		break;
	default:
		ck_assert_int_eq(device_store(b->dev, &b->fx, e, storage_mem_storage(b->disk)), 0);
		break;
	}
}

int bench_step(struct bench *b, const struct device_event *ev)
{
	struct device_event off = {.kind = DEVICE_POWER_OFF};
	enum state_name before = bench_state(b);
	int rv;

	b->rows_n = 0;
	b->why[0] = '\0';
	b->request_id = 0;
	rv = device_step(b->dev, ev, &b->at, &b->fx);
	ck_assert_int_eq(b->fx.failed, 0);
	for (unsigned i = 0; i < b->fx.n; i++)
		if (b->fx.e[i].kind == DEVICE_FX_JOURNAL && b->fx.e[i].journal == b->cut_at)
			b->cut_after = i + 1;
	b->was_cut = b->cut_after < b->fx.n;
	for (unsigned i = 0; i < b->fx.n && i < b->cut_after; i++)
		perform(b, &b->fx.e[i]);
	if (b->was_cut) {
		device_interrupted(b->dev, &b->fx, b->cut_after);
		b->cut_after = NO_CUT;
		b->cut_at = J_END;
		b->rows_n = 0;
		device_step(b->dev, &off, &b->at, &b->fx);
		for (unsigned i = 0; i < b->fx.n; i++)
			perform(b, &b->fx.e[i]);
		storage_mem_power_cut(b->disk, b->cut_mode, &b->rng);
		ck_state(b, STATE_OFF);
	}
	/* what leaves no row changes no state, and rows chain */
	for (unsigned i = 0; i < b->rows_n && !b->was_cut; i++)
		if (i == 0)
			ck_assert_int_eq(row_state(b->rows[i]), before);
	if (!b->rows_n)
		ck_assert_int_eq(before, bench_state(b));
	return rv;
}

/* ---- events ---- */

void bench_on(struct bench *b)
{
	struct device_event ev = {.kind = DEVICE_POWER_ON};
	char name[UUID_LEN + 16];
	struct buf file;

	buf_init(&file, DEVICE_FILE_MAX);
	device_file_name(b->dev, name, sizeof(name));
	if (!storage_read(storage_mem_storage(b->disk), name, &file)) {
		ev.data = file.data;
		ev.len = file.len;
	}
	bench_step(b, &ev);
	buf_fini(&file);
}

void bench_off(struct bench *b)
{
	struct device_event ev = {.kind = DEVICE_POWER_OFF};

	ck_assert_int_eq(bench_step(b, &ev), 0);
	storage_mem_power_cut(b->disk, STORAGE_LOSE, &b->rng);
}

void bench_pass(struct bench *b, time_ns ns)
{
	b->at.unix_ms += (int64_t)((b->at.now + ns) / NS_PER_MS - b->at.now / NS_PER_MS);
	b->at.now += ns;
	b->at.boot += ns;
}

void bench_timer(struct bench *b)
{
	struct device_event ev = {.kind = DEVICE_TIMER};
	time_ns due = device_deadline(b->dev);

	ck_assert(due != TIME_NEVER);
	if (due > b->at.now)
		bench_pass(b, due - b->at.now);
	ck_assert_int_eq(bench_step(b, &ev), 0);
}

int bench_sms(struct bench *b, const char *uuid, const char *r, const char *code, const char *from)
{
	struct smstext sms = {.r = ""};
	char text[SMSTEXT_MAX];
	struct device_event ev = {.kind = DEVICE_SMS, .from = from, .text = text};

	snprintf(sms.uuid, sizeof(sms.uuid), "%s", uuid);
	snprintf(sms.code, sizeof(sms.code), "%s", code);
	snprintf(sms.r, sizeof(sms.r), "%.8s", r);
	smstext_format(&sms, 300, text);
	return bench_step(b, &ev);
}

int bench_sms_ok(struct bench *b)
{
	return bench_sms(b, BENCH_UUID, device_registration(b->dev), BENCH_CODE, BENCH_SENDER);
}

int bench_raw(struct bench *b, const char *json)
{
	struct msg_response r;
	struct device_event ev = {.kind = DEVICE_REPLY, .id = device_in_flight(b->dev), .response = &r};
	int rv;

	ck_assert_int_eq(msg_response_parse(json, strlen(json), &r), 0);
	rv = bench_step(b, &ev);
	msg_response_fini(&r);
	return rv;
}

static bool to_be_signed(const struct bench *b, const struct bench_reply *r)
{
	if (r->command || r->code == 700)
		return true;
	if (b->request.resource == MSG_REFRESH)
		return r->code != 200 && r->code != 429 && r->code != 503;
	return b->request.resource != MSG_PUBLISH && (r->code == 401 || r->code == 403 || r->code == 412);
}

int bench_reply(struct bench *b, const struct bench_reply *r)
{
	json_t *payload = json_loads(r->payload ? r->payload : "{\"message\": \"NO\"}", JSON_DECODE_ANY, NULL);
	json_t *command = r->command ? json_loads(r->command, 0, NULL) : NULL;
	struct reply_claims c = {.nonce = b->request.nonce,
				 .resource = msg_resource_name(b->request.resource),
				 .code = r->sign == SIGN_WRONG ? 200 : r->code,
				 .payload = payload,
				 .command = command,
				 .retry_after_s = r->retry_after_s ? r->retry_after_s : -1};
	char *signature = NULL;
	struct buf text;
	int rv;

	ck_assert_ptr_nonnull(payload);
	buf_init(&text, MSG_REPLY_MAX);
	if (r->sign == SIGN_REPLAYED)
		c.nonce = "00000000000000000000000000000000";
	if (r->sign == SIGN_WRONG && r->code == 200)
		c.code = 400;
	if (r->sign != SIGN_NOT && to_be_signed(b, r))
		ck_assert_int_eq(reply_sign(b->signer, b->kid, &c, &signature, NULL), 0);
	ck_assert_int_eq(msg_response_build(r->code, NULL, payload, command, c.retry_after_s, signature, &text), 0);
	rv = bench_raw(b, text.data);
	buf_fini(&text);
	free(signature);
	json_decref(payload);
	json_decref(command);
	return rv;
}

int bench_code(struct bench *b, int code)
{
	return bench_reply(b, &(struct bench_reply){.code = code});
}

int bench_late(struct bench *b)
{
	struct msg_response r = {.code = 200, .retry_after_s = -1};
	struct device_event ev = {.kind = DEVICE_REPLY, .id = 999999, .response = &r};

	return bench_step(b, &ev);
}

int bench_link_lost(struct bench *b)
{
	struct device_event ev = {.kind = DEVICE_LINK_LOST, .id = device_in_flight(b->dev)};

	return bench_step(b, &ev);
}

int bench_registered(struct bench *b, const char *method)
{
	json_t *p = json_pack("{s:s, s:s, s:{s:i}}", "serverPublicKey", b->public_pem, "twoAuthMethod", method,
			      "deviceConfig", "publishInterval", 60);
	char *text = json_dumps(p, 0);
	int rv = bench_reply(b, &(struct bench_reply){.code = 200, .payload = text});

	free(text);
	json_decref(p);
	return rv;
}

static char *sign_one(struct bench *b, const char *uuid, const char *fam, enum token_use use, const char *bad)
{
	struct token_claims c = {.use = use, .has_exp = true, .has_iat = true, .iat = 1700000000, .exp = 1700000900};
	char *token = NULL;

	snprintf(c.sub, sizeof(c.sub), "%s", uuid);
	if (fam[0])
		snprintf(c.fam, sizeof(c.fam), "%032d", atoi(fam));
	snprintf(c.jti, sizeof(c.jti), "%032d", use == TOKEN_ACCESS ? 1 : 2);
	snprintf(c.kid, sizeof(c.kid), "%s", b->kid);
	snprintf(c.iss, sizeof(c.iss), "quicrig");
	if (bad && strcmp(bad, "dates") == 0)
		c.exp = c.iat;
	if (bad && strcmp(bad, "kind") == 0)
		c.use = use == TOKEN_ACCESS ? TOKEN_REFRESH : TOKEN_ACCESS;
	if (bad && strcmp(bad, "seed") == 0) {
		memset(c.sub, 0, sizeof(c.sub));
		snprintf(c.data_uuid, sizeof(c.data_uuid), "%s", uuid);
		c.use = TOKEN_NONE_USE;
		c.has_exp = use == TOKEN_ACCESS;
	}
	ck_assert_int_eq(token_sign(b->signer, &c, &token, NULL), 0);
	if (bad && strcmp(bad, "signature") == 0)
		token[strlen(token) - 9] ^= 1;
	return token;
}

char *bench_tokens(struct bench *b, const char *uuid, const char *fam, const char *bad)
{
	char *access = sign_one(b, uuid, fam, TOKEN_ACCESS, bad), *refresh = sign_one(b, uuid, fam, TOKEN_REFRESH, bad);
	json_t *p = json_pack("{s:{s:s, s:s}}", "tokens", "accessToken", access, "refreshToken", refresh);
	char *text = json_dumps(p, 0);

	json_decref(p);
	free(access);
	free(refresh);
	return text;
}

int bench_granted(struct bench *b, const char *fam)
{
	char *text = bench_tokens(b, BENCH_UUID, fam, NULL);
	int rv = bench_reply(b, &(struct bench_reply){.code = 200, .payload = text});

	free(text);
	return rv;
}

enum state_name bench_state(const struct bench *b)
{
	return device_state(b->dev);
}

void bench_reach(struct bench *b, enum state_name s)
{
	if (s == STATE_OFF)
		return;
	bench_on(b);
	if (s == STATE_NP)
		return;
	bench_timer(b);
	if (s == STATE_RG)
		return;
	if (s == STATE_IDLE) {
		bench_code(b, 403);
		return;
	}
	bench_registered(b, "SMS");
	if (s == STATE_AC)
		return;
	bench_sms_ok(b);
	if (s == STATE_LI)
		return;
	bench_granted(b, "1");
	bench_timer(b);
	if (s == STATE_PA)
		bench_reply(b, &(struct bench_reply){
				       .code = 200,
				       .payload = "{}",
				       .command = "{\"id\":\"p\",\"name\":\"PAUSE\",\"seconds\":60}"});
	if (s == STATE_RF)
		bench_code(b, 401);
	ck_state(b, s);
}
