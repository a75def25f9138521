#include "server/store.h"

#include <stdio.h>
#include <string.h>

#include "server/store_internal.h"

#define DAY_MS     (24 * 3600 * (int64_t)1000)
#define PURGE_ROWS 32 /* at most, a turn */

void store_get_text(sqlite3_stmt *q, int column, char *out, size_t size)
{
	const unsigned char *text = sqlite3_column_text(q, column);

	snprintf(out, size, "%s", text ? (const char *)text : "");
}

void store_put_text(sqlite3_stmt *q, int index, const char *text)
{
	sqlite3_bind_text(q, index, text, -1, SQLITE_STATIC);
}

int store_lookup(struct store *st, sqlite3_stmt *q)
{
	int rv;

	if (st->turn_failed || st->dead)
		return ERR_IO;
	rv = store_row(st, q);
	return rv < 0 ? rv : rv == 0 ? ERR_NOTFOUND : 0;
}

/* ---- devices ---- */

static void read_device(sqlite3_stmt *q, struct store_device *d)
{
	store_get_text(q, 0, d->uuid, sizeof(d->uuid));
	d->disabled = sqlite3_column_int(q, 1);
	store_get_text(q, 2, d->fam, sizeof(d->fam));
	d->revoked = sqlite3_column_int(q, 3) != 0;
	d->fam_start_s = sqlite3_column_int64(q, 4);
	store_get_text(q, 5, d->kid, sizeof(d->kid));
	store_get_text(q, 6, d->access_jti, sizeof(d->access_jti));
	store_get_text(q, 7, d->refresh_jti, sizeof(d->refresh_jti));
	store_get_text(q, 8, d->prev_jti, sizeof(d->prev_jti));
	d->iat_s = sqlite3_column_int64(q, 9);
	d->access_exp_s = sqlite3_column_int64(q, 10);
	d->refresh_exp_s = sqlite3_column_int64(q, 11);
	d->presented = sqlite3_column_int(q, 12) != 0;
	d->grace_epoch = sqlite3_column_int64(q, 13);
	d->grace_end = sqlite3_column_int64(q, 14);
	d->quarantined = sqlite3_column_int(q, 15) != 0;
	d->totp_step = sqlite3_column_int64(q, 16);
	d->totp_at_ms = sqlite3_column_int64(q, 17);
}

int store_device_get(struct store *st, const char *uuid, struct store_device *out)
{
	sqlite3_stmt *q = store_statement(st, Q_DEVICE_GET);
	int rv;

	memset(out, 0, sizeof(*out));
	snprintf(out->uuid, sizeof(out->uuid), "%s", uuid);
	out->disabled = -1;
	store_put_text(q, 1, uuid);
	rv = store_lookup(st, q);
	if (!rv) {
		read_device(q, out);
		sqlite3_reset(q);
	}
	return rv;
}

int store_holder_each(struct store *st, void (*each)(void *ctx, const char *uuid), void *ctx)
{
	sqlite3_stmt *q = store_statement(st, Q_HOLDER_EACH);
	char uuid[UUID_LEN + 1];
	int rv;

	if (st->turn_failed || st->dead)
		return ERR_IO;
	while ((rv = store_row(st, q)) == 1) {
		store_get_text(q, 0, uuid, sizeof(uuid));
		each(ctx, uuid);
	}
	return rv;
}

int store_device_put(struct store *st, const struct store_device *d)
{
	sqlite3_stmt *q = store_statement(st, Q_DEVICE_PUT);
	int rv = store_write(st);

	if (rv)
		return rv;
	store_put_text(q, 1, d->uuid);
	sqlite3_bind_int(q, 2, d->disabled);
	store_put_text(q, 3, d->fam);
	sqlite3_bind_int(q, 4, d->revoked);
	sqlite3_bind_int64(q, 5, d->fam_start_s);
	store_put_text(q, 6, d->kid);
	store_put_text(q, 7, d->access_jti);
	store_put_text(q, 8, d->refresh_jti);
	store_put_text(q, 9, d->prev_jti);
	sqlite3_bind_int64(q, 10, d->iat_s);
	sqlite3_bind_int64(q, 11, d->access_exp_s);
	sqlite3_bind_int64(q, 12, d->refresh_exp_s);
	sqlite3_bind_int(q, 13, d->presented);
	sqlite3_bind_int64(q, 14, d->grace_epoch);
	sqlite3_bind_int64(q, 15, d->grace_end);
	sqlite3_bind_int(q, 16, d->quarantined);
	sqlite3_bind_int64(q, 17, d->totp_step);
	sqlite3_bind_int64(q, 18, d->totp_at_ms);
	return store_run(st, q);
}

/* ---- registrations ---- */

static void read_registration(sqlite3_stmt *q, struct store_registration *r)
{
	const void *mac = sqlite3_column_blob(q, 2);

	memset(r, 0, sizeof(*r));
	store_get_text(q, 0, r->uuid, sizeof(r->uuid));
	store_get_text(q, 1, r->reg, sizeof(r->reg));
	if (mac && sqlite3_column_bytes(q, 2) == HASH_SIZE)
		memcpy(r->mac, mac, HASH_SIZE);
	store_get_text(q, 3, r->code_fp, sizeof(r->code_fp));
	r->state = (enum store_code_state)sqlite3_column_int(q, 4);
	r->tries = sqlite3_column_int64(q, 5);
	r->boot = sqlite3_column_int64(q, 6);
	r->code_end = sqlite3_column_int64(q, 7);
	r->code_len = sqlite3_column_int64(q, 8);
	store_get_text(q, 9, r->fam, sizeof(r->fam));
	r->forget_ms = sqlite3_column_int64(q, 10);
	r->totp = sqlite3_column_int(q, 11) != 0;
}

int store_registration_get(struct store *st, const char *uuid, const char *reg, struct store_registration *out)
{
	sqlite3_stmt *q = store_statement(st, Q_REG_GET);
	int rv;

	store_put_text(q, 1, uuid);
	store_put_text(q, 2, reg);
	rv = store_lookup(st, q);
	if (!rv) {
		read_registration(q, out);
		sqlite3_reset(q);
	}
	return rv;
}

int store_registration_live(struct store *st, const char *uuid, struct store_registration *out, unsigned max)
{
	sqlite3_stmt *q = store_statement(st, Q_REG_LIVE);
	unsigned n = 0;
	int rv = 0;

	store_put_text(q, 1, uuid);
	sqlite3_bind_int64(q, 2, max);
	while (n < max && (rv = store_row(st, q)) == 1)
		read_registration(q, &out[n++]);
	sqlite3_reset(q);
	return rv < 0 ? rv : (int)n;
}

int store_registration_put(struct store *st, const struct store_registration *r)
{
	sqlite3_stmt *q = store_statement(st, Q_REG_PUT);
	int rv = store_write(st);

	if (rv)
		return rv;
	store_put_text(q, 1, r->uuid);
	store_put_text(q, 2, r->reg);
	sqlite3_bind_blob(q, 3, r->mac, HASH_SIZE, SQLITE_STATIC);
	store_put_text(q, 4, r->code_fp);
	sqlite3_bind_int(q, 5, (int)r->state);
	sqlite3_bind_int64(q, 6, r->tries);
	sqlite3_bind_int64(q, 7, r->boot);
	sqlite3_bind_int64(q, 8, r->code_end);
	sqlite3_bind_int64(q, 9, r->code_len);
	store_put_text(q, 10, r->fam);
	sqlite3_bind_int64(q, 11, r->forget_ms);
	sqlite3_bind_int(q, 12, r->totp);
	if (r->forget_ms < st->oldest_forget)
		st->oldest_forget = r->forget_ms;
	return store_run(st, q);
}

int store_registration_delete(struct store *st, const char *uuid, const char *reg)
{
	sqlite3_stmt *q = store_statement(st, Q_REG_DELETE);
	int rv = store_write(st);

	if (rv)
		return rv;
	store_put_text(q, 1, uuid);
	store_put_text(q, 2, reg);
	return store_run(st, q);
}

int store_purge(struct store *st, int64_t unix_ms)
{
	sqlite3_stmt *q;
	int rv;

	if (unix_ms < st->oldest_forget)
		return 0;
	q = store_statement(st, Q_REG_OLDEST);
	rv = store_row(st, q);
	if (rv < 0)
		return rv;
	st->oldest_forget = rv ? sqlite3_column_int64(q, 0) : INT64_MAX;
	sqlite3_reset(q);
	if (unix_ms < st->oldest_forget)
		return 0;
	rv = store_write(st);
	if (rv)
		return rv;
	q = store_statement(st, Q_REG_PURGE);
	sqlite3_bind_int64(q, 1, unix_ms);
	sqlite3_bind_int(q, 2, PURGE_ROWS);
	return store_run(st, q);
}

/* ---- SMS budget ---- */

static int used(struct store *st, enum store_statement which, const char *uuid, int64_t at_ms)
{
	sqlite3_stmt *q = store_statement(st, which);
	int rv = store_write(st);

	if (rv)
		return rv;
	store_put_text(q, 1, uuid);
	sqlite3_bind_int64(q, 2, at_ms);
	return store_run(st, q);
}

int store_sms_used(struct store *st, const char *uuid, int64_t *at_ms)
{
	int rv = used(st, Q_USED_FORGET, uuid, *at_ms - DAY_MS);

	while (!rv) {
		rv = used(st, Q_USED_ADD, uuid, *at_ms);
		if (rv || sqlite3_changes(st->db))
			break;
		++*at_ms;
	}
	return rv;
}

int store_sms_unused(struct store *st, const char *uuid, int64_t at_ms)
{
	return used(st, Q_USED_DELETE, uuid, at_ms);
}

/* One instant of a uuid's hand-overs; `n` is the statement's second parameter. */
static int used_at(struct store *st, enum store_statement which, const char *uuid, int64_t n, int64_t *at_ms)
{
	sqlite3_stmt *q = store_statement(st, which);
	int rv;

	store_put_text(q, 1, uuid);
	sqlite3_bind_int64(q, 2, n);
	rv = store_lookup(st, q);
	if (!rv) {
		*at_ms = sqlite3_column_int64(q, 0);
		sqlite3_reset(q);
	}
	return rv;
}

int store_sms_nth(struct store *st, const char *uuid, int64_t nth, int64_t *at_ms)
{
	return used_at(st, Q_USED_NTH, uuid, nth - 1, at_ms);
}

int store_sms_after(struct store *st, const char *uuid, int64_t after_ms, int64_t *at_ms)
{
	return used_at(st, Q_USED_AFTER, uuid, after_ms, at_ms);
}

int store_fleet_add(struct store *st, int64_t bucket, int64_t n)
{
	sqlite3_stmt *q = store_statement(st, Q_FLEET_ADD);
	int rv = store_write(st);

	if (rv)
		return rv;
	sqlite3_bind_int64(q, 1, bucket);
	sqlite3_bind_int64(q, 2, n);
	return store_run(st, q);
}

static int forget_buckets(struct store *st, enum store_statement which, int64_t bucket)
{
	sqlite3_stmt *q = store_statement(st, which);
	int rv = store_write(st);

	if (rv)
		return rv;
	sqlite3_bind_int64(q, 1, bucket);
	return store_run(st, q);
}

int store_fleet_forget(struct store *st, int64_t before)
{
	return forget_buckets(st, Q_FLEET_FORGET, before);
}

int store_fleet_forget_after(struct store *st, int64_t bucket)
{
	return forget_buckets(st, Q_FLEET_AFTER, bucket);
}

int store_fleet_each(struct store *st, int64_t from, void (*each)(void *ctx, int64_t bucket, int64_t n), void *ctx)
{
	sqlite3_stmt *q = store_statement(st, Q_FLEET_EACH);
	int rv;

	sqlite3_bind_int64(q, 1, from);
	while ((rv = store_row(st, q)) == 1)
		each(ctx, sqlite3_column_int64(q, 0), sqlite3_column_int64(q, 1));
	return rv;
}

/* ---- outbox ---- */

int store_sms_put(struct store *st, const struct store_sms *s)
{
	sqlite3_stmt *q = store_statement(st, Q_OUT_PUT);
	int rv = store_write(st);

	if (rv)
		return rv;
	store_put_text(q, 1, s->id);
	store_put_text(q, 2, s->uuid);
	store_put_text(q, 3, s->reg);
	store_put_text(q, 4, s->code_fp);
	sqlite3_bind_int(q, 5, s->state);
	sqlite3_bind_int64(q, 6, s->boot);
	sqlite3_bind_int64(q, 7, s->born);
	sqlite3_bind_int64(q, 8, s->end);
	sqlite3_bind_int64(q, 9, s->used_ms);
	sqlite3_bind_blob(q, 10, s->text, (int)s->text_len, SQLITE_STATIC);
	return store_run(st, q);
}

int store_sms_state(struct store *st, const char *id, int state)
{
	sqlite3_stmt *q = store_statement(st, Q_OUT_STATE);
	int rv = store_write(st);

	if (rv)
		return rv;
	store_put_text(q, 1, id);
	sqlite3_bind_int(q, 2, state);
	return store_run(st, q);
}

int store_sms_delete(struct store *st, const char *id)
{
	sqlite3_stmt *q = store_statement(st, Q_OUT_DELETE);
	int rv = store_write(st);

	if (rv)
		return rv;
	store_put_text(q, 1, id);
	return store_run(st, q);
}

int store_sms_each(struct store *st, void (*each)(void *ctx, const struct store_sms *s), void *ctx)
{
	sqlite3_stmt *q = store_statement(st, Q_OUT_EACH);
	struct store_sms s;
	int rv;

	while ((rv = store_row(st, q)) == 1) {
		const void *text = sqlite3_column_blob(q, 9);
		int len = sqlite3_column_bytes(q, 9);

		memset(&s, 0, sizeof(s));
		store_get_text(q, 0, s.id, sizeof(s.id));
		store_get_text(q, 1, s.uuid, sizeof(s.uuid));
		store_get_text(q, 2, s.reg, sizeof(s.reg));
		store_get_text(q, 3, s.code_fp, sizeof(s.code_fp));
		s.state = sqlite3_column_int(q, 4);
		s.boot = sqlite3_column_int64(q, 5);
		s.born = sqlite3_column_int64(q, 6);
		s.end = sqlite3_column_int64(q, 7);
		s.used_ms = sqlite3_column_int64(q, 8);
		if (text && len > 0 && (size_t)len <= sizeof(s.text)) {
			memcpy(s.text, text, (size_t)len);
			s.text_len = (size_t)len;
		}
		each(ctx, &s);
	}
	return rv;
}
