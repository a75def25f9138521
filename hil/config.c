#include "hil/config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int set_one(struct config_settings *c, const char *name, const char *value, enum config_origin from, struct err *e)
{
	int k = setting_by_name(name);

	if (k < 0)
		return err_set(e, ERR_PARSE, "unknown setting '%s'; see quicrig list --settings", name);
	/* how devices connect is resolved with their groups */
	if (k == SETTING_CONNECTION)
		return err_set(e, ERR_PARSE, "'connection' is said in a scenario, where groups may differ");
	if (setting_parse((enum setting)k, value, &c->v[k], e))
		return ERR_PARSE;
	c->from[k] = from;
	return 0;
}

int config_set(struct config_settings *c, const char *text, enum config_origin from, struct err *e)
{
	size_t len = strcspn(text, "=");
	char name[64];

	if (!text[len] || !len || len >= sizeof(name))
		return err_set(e, ERR_PARSE, "a setting is set as in access_ttl=2s, not '%.60s'", text);
	memcpy(name, text, len);
	name[len] = '\0';
	return set_one(c, name, text + len + 1, from, e);
}

const char *config_variable(const char *name, char *out, size_t size)
{
	snprintf(out, size, "QUICRIG_%s", name);
	for (char *p = out; *p; p++)
		*p = (char)toupper((unsigned char)*p);
	return out;
}

int config_environment(struct config_settings *c, struct err *e)
{
	struct err own = {0};
	char name[80];

	for (int k = 0; k < SETTING_COUNT; k++) {
		const char *value = getenv(config_variable(setting_name((enum setting)k), name, sizeof(name)));

		if (value && set_one(c, setting_name((enum setting)k), value, CONFIG_ENVIRONMENT, &own))
			return err_set(e, ERR_PARSE, "%s of the environment: %s", name, own.text);
	}
	return 0;
}

/* A wait that begins above its end, whoever said the halves. */
static int fits(json_t *settings, json_t *plan, struct err *e)
{
	json_t *min = json_object_get(settings, "backoff_min"), *max = json_object_get(settings, "backoff_max");
	struct settings initial;
	int64_t a, b;

	settings_rig(&initial);
	a = min ? json_integer_value(min) : initial.v[SETTING_BACKOFF_MIN];
	b = max ? json_integer_value(max) : initial.v[SETTING_BACKOFF_MAX];
	if (a <= b)
		return 0;
	return err_set(e, ERR_PARSE, "%s: 'backoff_min' would be longer than 'backoff_max'",
		       json_string_value(json_object_get(plan, "id")));
}

int config_apply(const struct config_settings *c, json_t *rig, json_t *plan, struct err *e)
{
	json_t *settings = json_object_get(plan, "settings");

	if (!settings) {
		settings = json_object();
		if (json_object_set_new(plan, "settings", settings))
			return err_set(e, ERR_NOMEM, "out of memory");
	}
	if (rig && json_object_update_missing(settings, rig))
		return err_set(e, ERR_NOMEM, "out of memory");
	for (int k = 0; k < SETTING_COUNT; k++)
		if (c->from[k] != CONFIG_DEFAULT &&
		    json_object_set_new(settings, setting_name((enum setting)k),
					json_integer(c->v[k] == SETTING_OFF ? -1 : c->v[k])))
			return err_set(e, ERR_NOMEM, "out of memory");
	return fits(settings, plan, e);
}
