#include "server/script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "server/script_bytes.h"

#define DEVICES_MAX 10000

/* Words of an arg; args without words are a number, a text or a flag. */
static const struct {
	const char *name, *words; /* NULL: a value of `type` */
	json_type type;
} args_known[] = {
	{"code", NULL, JSON_INTEGER},
	{"message", NULL, JSON_STRING},
	{"retry_after_ns", NULL, JSON_INTEGER},
	{"text", NULL, JSON_STRING},
	{"late_ns", NULL, JSON_INTEGER},
	{"with_next", NULL, JSON_TRUE},
	{"command", NULL, JSON_OBJECT},
	{"payload", "none other_key other_method", JSON_STRING},
	{"tokens", "missing bad_signature not_signed other_device swapped exp_before_iat", JSON_STRING},
	{"signature", "none wrong other_nonce replayed", JSON_STRING},
	{"body", "empty garbage truncated twice no_code code_text huge", JSON_STRING},
	{"link", "silent reset close", JSON_STRING},
};
#define ARGS_KNOWN (sizeof(args_known) / sizeof(args_known[0]))

static bool among(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = words; len && !strchr(word, ' ') && (p = strstr(p, word)); p += len)
		if ((p == words || p[-1] == ' ') && (p[len] == ' ' || !p[len]))
			return true;
	return false;
}

static int check_one(const char *name, json_t *value, struct err *e)
{
	for (size_t i = 0; i < ARGS_KNOWN; i++) {
		if (strcmp(args_known[i].name, name) != 0)
			continue;
		if ((json_is_boolean(value) ? JSON_TRUE : json_typeof(value)) != args_known[i].type ||
		    (json_is_integer(value) && json_integer_value(value) < 0))
			return err_set(e, ERR_PARSE, "reply: '%s' has the wrong type", name);
		if (args_known[i].words && !among(args_known[i].words, json_string_value(value)))
			return err_set(e, ERR_PARSE, "reply: '%s' is one of: %s", name, args_known[i].words);
		return 0;
	}
	return err_set(e, ERR_PARSE, "reply: nobody knows '%.40s'", name);
}

int script_check(json_t *args, struct err *e)
{
	json_t *code = json_object_get(args, "code"), *value;
	const char *name;
	int rv;

	if (!json_object_size(args))
		return err_set(e, ERR_PARSE, "reply: what is to be different? code, body, tokens, signature, link …");
	json_object_foreach(args, name, value) {
		rv = check_one(name, value, e);
		if (rv)
			return rv;
	}
	if (code && (json_integer_value(code) < 100 || json_integer_value(code) > 999))
		return err_set(e, ERR_PARSE, "reply: a code is 100…999; 'body' and 'text' make others");
	return 0;
}

enum script_link script_link(json_t *args)
{
	const char *link = json_string_value(json_object_get(args, "link"));

	if (!link)
		return SCRIPT_ANSWERS;
	return strcmp(link, "silent") == 0 ? SCRIPT_SILENT : strcmp(link, "reset") == 0 ? SCRIPT_RESET : SCRIPT_CLOSE;
}

/* An id of its own for each reply: a device does none twice. */
static void ride(struct reply *r, const json_t *command)
{
	char id[sizeof("script-") + NONCE_LEN];

	snprintf(id, sizeof(id), "script-%.8s", r->nonce);
	json_decref(r->command);
	r->command = json_deep_copy(command);
	if (r->command)
		json_object_set_new(r->command, "id", json_string(id));
}

void script_decide(struct reply *r, json_t *args)
{
	json_t *code = json_object_get(args, "code"), *message = json_object_get(args, "message"),
	       *retry = json_object_get(args, "retry_after_ns");

	json_decref(r->script);
	r->script = json_incref(args);
	/* the very code that was decided keeps its payload: only its bytes are bent */
	if (json_is_integer(code) && (json_integer_value(code) != r->code || message)) {
		reply_refuse(r, (int)json_integer_value(code), "fault", json_string_value(message), -1);
		/* a register that still waits for its SMS is answered in its own time */
		r->forced = r->item != NULL;
	}
	if (json_is_integer(retry))
		r->retry_after_s = json_integer_value(retry) / (json_int_t)NS_PER_S;
	if (json_object_get(args, "command"))
		ride(r, json_object_get(args, "command"));
	r->sign = r->nonce[0] && (reply_needs_signature(r->resource, r->code) || r->command ||
				  json_object_get(args, "signature"));
}

/* ---- nonces of the requests before ---- */

struct known {
	char uuid[UUID_LEN + 1], nonce[NONCE_LEN + 1];
	UT_hash_handle hh;
};

struct script_memory {
	struct known *known;
};

struct script_memory *script_memory_new(void)
{
	return calloc(1, sizeof(struct script_memory));
}

void script_memory_free(struct script_memory *m)
{
	struct known *k, *next;

	if (!m)
		return;
	HASH_ITER(hh, m->known, k, next) {
		HASH_DEL(m->known, k);
		free(k);
	}
	free(m);
}

void script_remember(struct script_memory *m, const struct reply *r)
{
	struct known *k = NULL;

	if (!m || !r->uuid[0] || !r->nonce[0])
		return;
	HASH_FIND_STR(m->known, r->uuid, k);
	if (!k) {
		k = HASH_COUNT(m->known) < DEVICES_MAX ? calloc(1, sizeof(*k)) : NULL;
		if (!k)
			return;
		memcpy(k->uuid, r->uuid, sizeof(k->uuid));
		HASH_ADD_STR(m->known, uuid, k);
	}
	memcpy(k->nonce, r->nonce, sizeof(k->nonce));
}

/* Another nonce than the request's, as good a one to look at. */
static void other_nonce(const struct reply *r, char nonce[NONCE_LEN + 1])
{
	memcpy(nonce, r->nonce, NONCE_LEN + 1);
	nonce[0] = nonce[0] == '0' ? '1' : '0';
}

static void nonce_before(const struct script_memory *m, const struct reply *r, char nonce[NONCE_LEN + 1])
{
	struct known *k = NULL;

	if (m)
		HASH_FIND_STR(m->known, r->uuid, k);
	if (k)
		memcpy(nonce, k->nonce, NONCE_LEN + 1);
	else
		other_nonce(r, nonce);
}

/* ---- the bytes ---- */

int script_encode(const struct reply *r, struct token_signer *signer, const struct script_memory *m, struct buf *out,
		  struct err *e)
{
	const char *signature = json_string_value(json_object_get(r->script, "signature"));
	json_t *text = json_object_get(r->script, "text");
	struct reply bent = *r;
	int rv;

	if (text)
		return buf_add(out, json_string_value(text), json_string_length(text));
	bent.payload = script_payload(r, signer, e);
	if (!bent.payload)
		return ERR_NOMEM;
	if (signature && strcmp(signature, "none") == 0)
		bent.sign = false;
	else if (signature && strcmp(signature, "other_nonce") == 0)
		other_nonce(r, bent.nonce);
	else if (signature && strcmp(signature, "replayed") == 0)
		nonce_before(m, r, bent.nonce);
	rv = reply_encode(&bent, signer, out, e);
	json_decref(bent.payload);
	if (!rv && signature && strcmp(signature, "wrong") == 0)
		script_spoil_signature(out);
	if (!rv)
		rv = script_body(json_string_value(json_object_get(r->script, "body")), out);
	return rv;
}
