/* Control verbs about token keys (server/keyring.h). */
#include "server/control_internal.h"

#include <string.h>

#include "server/keyring.h"

static int settle(struct server *s, struct err *e)
{
	if (server_commit(s))
		return err_set(e, ERR_IO, "storage failed: %s", store_error(s->store));
	server_foresee(s);
	server_write_journal(s);
	return 0;
}

json_t *control_keys(struct server *s, json_t *request, struct err *e)
{
	json_t *keys = json_array(), *lost = json_array();
	unsigned n = keyring_count(s->enroll);

	(void)request;
	(void)e;
	for (unsigned i = 0; i < n; i++) {
		const struct keyring_entry *k = keyring_at(s->enroll, i);

		json_array_append_new(keys, json_pack("{s:s, s:I, s:o, s:b}", "kid", k->kid, "addedMs",
						      (json_int_t)k->added_ms, "retiresMs",
						      k->retire_ms ? json_integer(k->retire_ms) : json_null(), "newest",
						      i + 1 == n));
	}
	for (unsigned i = 0; i < keyring_lost_count(s->enroll); i++)
		json_array_append_new(lost, json_string(keyring_lost_at(s->enroll, i)));
	return json_pack("{s:o, s:o, s:I}", "keys", keys, "reconfigure", lost, "noCommonKey",
			 (json_int_t)enroll_counts(s->enroll)->no_common_key);
}

/* The key comes with the request: whoever may ask here may as well bring it, and the server's
 * loop does not stand still while one is made. */
json_t *control_rotate_key(struct server *s, json_t *request, struct err *e)
{
	const char *pem = control_text(request, "key");

	if (!pem) {
		err_set(e, ERR_PARSE, "rotate-key wants 'key', a private RSA key of 2048 bits in PEM");
		return NULL;
	}
	if (keyring_rotate(s->enroll, &s->at, pem, &s->fx, e))
		return NULL;
	return settle(s, e) ? NULL : json_pack("{s:s}", "kid", keyring_newest(s->enroll));
}

/* All but the newest: somebody has them who should not. */
static int retire_others(struct server *s)
{
	int rv = 0;

	while (!rv && keyring_count(s->enroll) > 1)
		rv = keyring_retire(s->enroll, &s->at, keyring_at(s->enroll, 0)->kid, "operator", &s->fx);
	return rv;
}

json_t *control_retire_key(struct server *s, json_t *request, struct err *e)
{
	const char *kid = control_text(request, "kid");
	bool others = kid && strcmp(kid, "others") == 0;
	int rv = others ? retire_others(s) : kid ? keyring_retire(s->enroll, &s->at, kid, "operator", &s->fx) : ERR_PARSE;

	if (rv) {
		err_set(e, rv,
			rv == ERR_PARSE	     ? "which kid?"
			: rv == ERR_NOTFOUND ? "no token key of this kid"
			: rv == ERR_INVALID  ? "it is the newest; rotate first"
					     : "storage failed: %s",
			store_error(s->store));
		return NULL;
	}
	return settle(s, e) ? NULL : json_object();
}
