/* A device's one token family: pairs, rotation, graces, revocation (protocol.md §4,
 * Tokens and Refresh). */
#include "server/enroll_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/plant.h"
#include "server/clock.h"

static void draw_jti(struct enroll *en, char out[JTI_LEN + 1])
{
	uint8_t raw[JTI_LEN / 2];

	secret_fill(en->secret, raw, sizeof(raw));
	hash_hex(raw, sizeof(raw), out);
}

int enroll_device(struct enroll *en, const char *uuid, const struct registry_device **dev, struct store_device *row)
{
	int rv;

	*dev = uuid[0] ? registry_find(en->registry, uuid) : NULL;
	if (!*dev)
		return ERR_NOTFOUND;
	rv = store_device_get(en->store, uuid, row);
	return rv == ERR_NOTFOUND ? 0 : rv;
}

const char *enroll_barred(const struct registry_device *dev, const struct store_device *row)
{
	if (row->disabled < 0 ? dev->disabled : row->disabled != 0)
		return "disabled";
	return row->quarantined ? "quarantined" : NULL;
}

bool family_alive(const struct store_device *row, const char *fam)
{
	return row->fam[0] && !row->revoked && strcmp(row->fam, fam) == 0;
}

/* A grace that was open at the last commit before a stop runs its full length again from
 * the next start, and so on from start to start. */
int64_t family_grace_left(const struct enroll *en, const struct store_device *row, const struct instant *at,
			  bool login)
{
	const struct store_epoch *ep;
	unsigned n = store_epochs(en->store, &ep), i = 0;
	int64_t end = row->grace_end;

	/* a pair whose key is gone cannot be made again */
	if (!row->fam[0] || row->revoked || row->presented || login != !row->prev_jti[0] ||
	    !token_signer_public(en->signer, row->kid))
		return 0;
	while (i < n && ep[i].id != row->grace_epoch)
		i++;
	if (i == n)
		return 0;
	for (; i + 1 < n; i++) {
		if (end <= ep[i].last_commit)
			return 0;
		end = ep[i + 1].started + (login ? ep[i + 1].login_grace : ep[i + 1].refresh_grace);
	}
	end -= (int64_t)at->boot;
	return end > 0 ? end : 0;
}

static int64_t seconds(const struct enroll *en, enum setting k)
{
	return en->settings->v[k] / (int64_t)NS_PER_S;
}

static void journal_issued(struct enroll_call *c, const struct store_device *row)
{
	FX(c->fx, c->r, c->at, row->uuid, c->r->req, c->r->reg, J_TOKEN_ISSUED, JS(JTI, row->access_jti),
	   JS(FAM, row->fam), JS(USE, "access"));
	FX(c->fx, c->r, c->at, row->uuid, c->r->req, c->r->reg, J_TOKEN_ISSUED, JS(JTI, row->refresh_jti),
	   JS(FAM, row->fam), JS(USE, "refresh"));
}

static int fresh_pair(struct enroll_call *c, struct store_device *row, enum setting grace)
{
	struct enroll *en = c->en;
	int64_t family_end;

	draw_jti(en, row->access_jti);
	if (!PLANTED(REFRESH_NOT_ROTATED) || grace == SETTING_LOGIN_GRACE)
		draw_jti(en, row->refresh_jti);
	snprintf(row->kid, sizeof(row->kid), "%s", c->r->kid);
	row->iat_s = c->at->unix_ms / 1000;
	if (grace == SETTING_LOGIN_GRACE)
		row->fam_start_s = row->iat_s;
	family_end = row->fam_start_s + seconds(en, SETTING_REFRESH_MAX);
	row->access_exp_s = row->iat_s + seconds(en, SETTING_ACCESS_TTL);
	row->refresh_exp_s = row->iat_s + seconds(en, SETTING_REFRESH_IDLE);
	if (row->refresh_exp_s > family_end)
		row->refresh_exp_s = family_end;
	row->presented = false;
	row->grace_epoch = en->epoch;
	row->grace_end = (int64_t)c->at->boot + en->settings->v[grace];
	journal_issued(c, row);
	if (clock_issued(en, c->at->unix_ms))
		return ERR_IO;
	return store_device_put(en->store, row);
}

int family_start(struct enroll_call *c, struct store_device *row)
{
	int rv = row->fam[0] && !row->revoked && !PLANTED(FAMILIES_PILE_UP) ? family_revoke(c, row, "login") : 0;

	if (rv)
		return rv;
	draw_jti(c->en, row->fam);
	row->revoked = false;
	row->prev_jti[0] = '\0';
	return fresh_pair(c, row, SETTING_LOGIN_GRACE);
}

int family_rotate(struct enroll_call *c, struct store_device *row)
{
	memcpy(row->prev_jti, row->refresh_jti, sizeof(row->prev_jti));
	return fresh_pair(c, row, SETTING_REFRESH_GRACE);
}

int family_revoke(struct enroll_call *c, struct store_device *row, const char *why)
{
	row->revoked = true;
	c->en->counts.revoked++;
	FX(c->fx, c->r, c->at, row->uuid, c->r->req, c->r->reg, J_TOKEN_REVOKED, JS(JTI, row->refresh_jti),
	   JS(FAM, row->fam), JS(WHY, why));
	return store_device_put(c->en->store, row);
}

int family_presented(struct enroll_call *c, struct store_device *row, const char *jti)
{
	if (row->presented || (strcmp(row->access_jti, jti) != 0 && strcmp(row->refresh_jti, jti) != 0))
		return 0;
	row->presented = true;
	return store_device_put(c->en->store, row);
}

/* The same row gives the same bytes: jti, times and kid are kept, RS256 is deterministic. */
static char *sign_one(struct enroll *en, const struct registry_device *dev, const struct store_device *row,
		      enum token_use use)
{
	struct token_claims t = {.use = use, .has_exp = true, .has_iat = true, .has_nbf = true};
	bool access = use == TOKEN_ACCESS;
	char *text = NULL;

	snprintf(t.sub, sizeof(t.sub), "%s", row->uuid);
	snprintf(t.jti, sizeof(t.jti), "%s", access ? row->access_jti : row->refresh_jti);
	snprintf(t.fam, sizeof(t.fam), "%s", row->fam);
	snprintf(t.iss, sizeof(t.iss), "quicrig");
	snprintf(t.aud, sizeof(t.aud), access ? "quicrig/access" : "quicrig/refresh");
	snprintf(t.kid, sizeof(t.kid), "%s", row->kid);
	snprintf(t.data_uuid, sizeof(t.data_uuid), "%s", dev->uuid);
	snprintf(t.data_device_type, sizeof(t.data_device_type), "%s", dev->device_type);
	snprintf(t.data_serial_id, sizeof(t.data_serial_id), "%s", dev->serial_id);
	t.iat = t.nbf = row->iat_s;
	t.exp = access ? row->access_exp_s : row->refresh_exp_s;
	return token_sign(en->signer, &t, &text, NULL) ? NULL : text;
}

int family_reply(struct enroll_call *c, const struct registry_device *dev, const struct store_device *row)
{
	char *access = sign_one(c->en, dev, row, TOKEN_ACCESS);
	char *refresh = access ? sign_one(c->en, dev, row, TOKEN_REFRESH) : NULL;
	json_t *payload = refresh ? json_pack("{s:{s:s, s:s}}", "tokens", "accessToken", access, "refreshToken", refresh)
				  : NULL;

	free(access);
	free(refresh);
	if (!payload)
		return ERR_INTERNAL; /* a key that is gone, or no memory: the decision is undone */
	reply_set(c->r, 200, "ok", payload);
	return 0;
}

/* Shown is shown: an expired token ends the graces of its pair as a good one does. */
static int presented_expired(struct enroll_call *c, const struct token_claims *t)
{
	const struct registry_device *dev;
	struct store_device row;
	int rv = enroll_device(c->en, t->sub, &dev, &row);

	if (rv)
		return rv == ERR_NOTFOUND ? 0 : rv;
	return family_alive(&row, t->fam) ? family_presented(c, &row, t->jti) : 0;
}

int family_token(struct enroll_call *c, enum token_use use, struct token_claims *out)
{
	const struct msg_request *m = c->m;
	struct enroll *en = c->en;
	int rv;

	if (!m->authentication_len)
		return ERR_AUTH;
	rv = token_cache_verify(en->cache, en->keys, m->authentication, m->authentication_len,
				(size_t)en->settings->v[SETTING_TOKEN_MAX], out, NULL);
	if (rv)
		return rv;
	rv = token_judge(out, use, c->at->unix_ms, NULL);
	if (rv && PLANTED(ACCESS_AS_REFRESH))
		rv = token_judge(out, TOKEN_ACCESS, c->at->unix_ms, NULL);
	if (rv == ERR_EXPIRED && PLANTED(EXPIRED_ACCEPTED))
		rv = 0;
	if (rv == ERR_EXPIRED && presented_expired(c, out))
		return ERR_IO;
	if (rv)
		return rv;
	FX(c->fx, c->r, c->at, out->sub, c->r->req, c->r->reg, J_TOKEN_PRESENTED, JS(JTI, out->jti), JS(FAM, out->fam),
	   JS(USE, use == TOKEN_ACCESS ? "access" : "refresh"));
	return 0;
}
