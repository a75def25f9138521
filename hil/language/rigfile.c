#include "hil/language/rigfile.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "hil/language/read.h"

#define PIN_MIN     4 /* digits of a SIM's PIN, 3GPP TS 31.101 §9.5 */
#define PIN_MAX     8
#define IMEI_LEN    15
#define E164_MIN    5
#define E164_MAX    15
#define ENV_PREFIX  "env:"

void rigfile_fini(struct rigfile *r)
{
	free(r->address);
	free(r->ca);
	free(r->cert);
	free(r->key);
	free(r->token_key);
	free(r->identities);
	json_decref(r->settings);
	for (size_t i = 0; i < r->senders_n; i++)
		free(r->senders[i]);
	free(r->senders);
	for (size_t i = 0; i < r->modems_n; i++) {
		struct modem_spec *m = &r->modems[i];

		if (m->pin)
			explicit_bzero((char *)m->pin, strlen(m->pin));
		free((char *)m->name);
		free((char *)m->imei);
		free((char *)m->device);
		free((char *)m->connection);
		free((char *)m->number);
		free((char *)m->pin);
	}
	free(r->modems);
	memset(r, 0, sizeof(*r));
}

static char *text_of(struct reader *r, json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		r->nomem = true;
	return copy;
}

static bool digits(const char *text, size_t min, size_t max)
{
	size_t len = strlen(text);

	return len >= min && len <= max && strspn(text, "0123456789") == len;
}

/* ---- server, sms ---- */

static void check_address(struct reader *r, const struct yaml_node *n)
{
	const char *colon = n && n->kind == YAML_KIND_SCALAR ? strrchr(n->text, ':') : NULL;

	if (!n || n->kind != YAML_KIND_SCALAR)
		return;
	if (!colon || colon == n->text || !digits(colon + 1, 1, 5) || atoi(colon + 1) < 1 || atoi(colon + 1) > 65535)
		diag_error(r->ds, r->src, n->at, "as in address: \"192.0.2.1:20190\"", "'%.60s' is not HOST:PORT", n->text);
}

static void read_server(struct reader *r, const struct yaml_node *n, struct rigfile *out)
{
	json_t *j;

	out->server_ours = true;
	if (!n || (n->kind == YAML_KIND_SCALAR && strcmp(n->text, "ours") == 0))
		return;
	if (n->kind != YAML_KIND_MAP) {
		diag_error(r->ds, r->src, n->at, NULL, "'server' is ours, or a mapping with its address");
		return;
	}
	j = json_object();
	read_map(r, n, "rig.server", j);
	check_address(r, yaml_get(n, "address"));
	out->server_ours = false;
	out->address = text_of(r, j, "address");
	out->ca = text_of(r, j, "ca");
	out->cert = text_of(r, j, "cert");
	out->key = text_of(r, j, "key");
	out->token_key = text_of(r, j, "token_key");
	out->identities = text_of(r, j, "identities");
	out->accept_unsigned = json_is_true(json_object_get(j, "accept_unsigned"));
	json_decref(j);
}

static void read_senders(struct reader *r, const struct yaml_node *n, struct rigfile *out)
{
	json_t *j = json_object(), *list, *one;
	size_t i, count;

	out->senders_any = true;
	if (!n || !read_map(r, n, "rig.sms", j))
		goto end;
	list = json_object_get(j, "senders");
	count = json_array_size(list);
	if (count > RIGFILE_SENDERS_MAX)
		diag_error(r->ds, r->src, yaml_get(n, "senders")->at, NULL, "more than %d senders", RIGFILE_SENDERS_MAX);
	if (list && !count)
		diag_error(r->ds, r->src, yaml_get(n, "senders")->at, NULL, "no sender: write any, numbers or names");
	if (!count || count > RIGFILE_SENDERS_MAX ||
	    (count == 1 && strcmp(json_string_value(json_array_get(list, 0)), "any") == 0))
		goto end;
	out->senders_any = false;
	out->senders = calloc(count, sizeof(*out->senders));
	json_array_foreach(list, i, one) {
		char *copy = out->senders ? strdup(json_string_value(one)) : NULL;

		if (strcmp(json_string_value(one), "any") == 0)
			diag_error(r->ds, r->src, yaml_get(n, "senders")->at, NULL, "'any' stands alone");
		if (!copy)
			r->nomem = true;
		else
			out->senders[out->senders_n++] = copy;
	}
end:
	json_decref(j);
}

/* ---- modems ---- */

static bool modem_name(const char *name)
{
	size_t len = strlen(name);

	for (const char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && *p != '-' && *p != '_')
			return false;
	return len >= 1 && len <= 32;
}

/* A PIN never stands in a file: the file names the variable. */
static char *read_pin(struct reader *r, const struct yaml_node *n)
{
	const char *name, *value;
	char *copy;

	if (!n || n->kind != YAML_KIND_SCALAR || !n->text[0])
		return NULL;
	if (strncmp(n->text, ENV_PREFIX, strlen(ENV_PREFIX)) != 0 || !n->text[strlen(ENV_PREFIX)]) {
		diag_error(r->ds, r->src, n->at, "as in pin: env:M1_PIN", "a PIN does not belong into a file: name the variable that holds it");
		return NULL;
	}
	name = n->text + strlen(ENV_PREFIX);
	value = getenv(name);
	if (!value) {
		diag_error(r->ds, r->src, n->at, NULL, "the variable %.60s is not set", name);
		return NULL;
	}
	if (!digits(value, PIN_MIN, PIN_MAX)) {
		diag_error(r->ds, r->src, n->at, NULL, "the variable %.60s holds no PIN of 4 to 8 digits", name);
		return NULL;
	}
	copy = strdup(value);
	if (!copy)
		r->nomem = true;
	return copy;
}

/* The scalar under `key`, NULL where it is absent or of the wrong kind (told already). */
static const struct yaml_node *scalar(const struct yaml_node *n, const char *key)
{
	const struct yaml_node *v = yaml_get(n, key);

	return v && v->kind == YAML_KIND_SCALAR && v->text[0] ? v : NULL;
}

static void check_modem(struct reader *r, const struct yaml_node *n)
{
	const struct yaml_node *v;

	v = scalar(n, "imei");
	if (v && !digits(v->text, IMEI_LEN, IMEI_LEN))
		diag_error(r->ds, r->src, v->at, NULL, "an IMEI has %d digits, not '%.40s'", IMEI_LEN, v->text);
	v = scalar(n, "number");
	if (v && (v->text[0] != '+' || v->text[1] == '0' || !digits(v->text + 1, E164_MIN, E164_MAX)))
		diag_error(r->ds, r->src, v->at, "as in number: \"+34600000001\"",
			   "'%.40s' is no number with + and country code (E.164)", v->text);
	if (!yaml_get(n, "imei") && !yaml_get(n, "device"))
		diag_error(r->ds, r->src, n->at, NULL, "a modem needs 'imei' or 'device', else nobody can find it");
}

static void read_modem(struct reader *r, const struct yaml_item *i, struct rigfile *out)
{
	struct modem_spec *m = &out->modems[out->modems_n];
	json_t *j = json_object();
	const char *role;

	if (!modem_name(i->key->text))
		diag_error(r->ds, r->src, i->key->at, NULL,
			   "'%.60s' cannot be a modem's name (1 to 32 letters, digits, '-' and '_')", i->key->text);
	if (read_map(r, i->value, "rig.modem", j)) {
		check_modem(r, i->value);
		m->name = strdup(i->key->text);
		m->imei = text_of(r, j, "imei");
		m->device = text_of(r, j, "device");
		m->connection = text_of(r, j, "connection");
		m->number = text_of(r, j, "number");
		m->pin = read_pin(r, yaml_get(i->value, "pin"));
		role = json_string_value(json_object_get(j, "role"));
		m->role = role && strcmp(role, "sender") == 0   ? MODEM_SENDER
			  : role && strcmp(role, "receiver") == 0 ? MODEM_RECEIVER
								  : MODEM_BOTH;
		m->per_minute = (unsigned)json_integer_value(json_object_get(j, "per_minute"));
		m->per_day = (unsigned)json_integer_value(json_object_get(j, "per_day"));
		m->per_month = (unsigned)json_integer_value(json_object_get(j, "per_month"));
		r->nomem |= !m->name;
		out->modems_n++;
	}
	json_decref(j);
}

/* Two names for one modem would have both fight over its tty. */
static void check_unique(struct reader *r, const struct yaml_node *n)
{
	static const char *const unique_keys[] = {"imei", "device", "number"};

	for (size_t k = 0; k < sizeof(unique_keys) / sizeof(unique_keys[0]); k++)
		for (const struct yaml_item *a = n->first; a; a = a->next)
			for (const struct yaml_item *b = n->first; b != a; b = b->next) {
				const struct yaml_node *x = scalar(a->value, unique_keys[k]);
				const struct yaml_node *y = scalar(b->value, unique_keys[k]);

				if (x && y && strcmp(x->text, y->text) == 0)
					diag_error(r->ds, r->src, x->at, NULL, "'%s' is the same as that of '%.40s'",
						   unique_keys[k], b->key->text);
			}
}

static void read_modems(struct reader *r, const struct yaml_node *n, struct rigfile *out)
{
	if (!n)
		return;
	if (n->kind != YAML_KIND_MAP) {
		diag_error(r->ds, r->src, n->at, "as in {m1: {device: /dev/ttyUSB0}}", "'modems' wants a mapping by name");
		return;
	}
	if (n->n > RIGFILE_MODEMS_MAX) {
		diag_error(r->ds, r->src, n->at, NULL, "more than %d modems", RIGFILE_MODEMS_MAX);
		return;
	}
	out->modems = calloc(n->n ? n->n : 1, sizeof(*out->modems));
	if (!out->modems) {
		r->nomem = true;
		return;
	}
	for (const struct yaml_item *i = n->first; i; i = i->next)
		read_modem(r, i, out);
	check_unique(r, n);
}

int rigfile_parse(const struct source *src, struct diags *ds, struct rigfile *out)
{
	struct reader r = {.ds = ds, .src = src};
	size_t errors = ds->errors;
	const struct yaml_node *root, *n;
	struct yaml_tree *tree;
	json_t *none;

	memset(out, 0, sizeof(*out));
	diags_file(ds);
	tree = yaml_tree_parse(src, ds);
	if (!tree)
		return ERR_PARSE;
	root = yaml_tree_root(tree);
	none = json_object();
	if (read_map(&r, root, "rig", none)) {
		if ((n = yaml_get(root, "version")))
			json_decref(read_key(&r, n, "rig", "version"));
		read_server(&r, yaml_get(root, "server"), out);
		read_senders(&r, yaml_get(root, "sms"), out);
		read_modems(&r, yaml_get(root, "modems"), out);
		out->settings = json_incref(json_object_get(none, "settings"));
		n = yaml_get(yaml_get(root, "settings"), "connection");
		if (n)
			diag_error(ds, src, n->at, NULL, "'connection' is said in a scenario, where groups may differ");
	}
	json_decref(none);
	yaml_tree_free(tree);
	if (r.nomem)
		diag_error(ds, src, (struct mark){0, 0}, NULL, "out of memory");
	if (ds->errors == errors)
		return 0;
	rigfile_fini(out);
	return r.nomem ? ERR_NOMEM : ERR_PARSE;
}

int rigfile_load(const char *path, struct diags *ds, struct rigfile *out)
{
	struct source src;
	int rv;

	memset(out, 0, sizeof(*out));
	diags_file(ds);
	rv = source_read(path, YAML_SIZE_MAX, ds, &src);
	if (rv)
		return rv;
	rv = rigfile_parse(&src, ds, out);
	source_free(&src);
	return rv;
}
