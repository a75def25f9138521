/* Settings of server and devices from outside a scenario. The order, first one first: flag
 * (--set), environment (QUICRIG_*), scenario, rig file, default. */
#ifndef HIL_CONFIG_H
#define HIL_CONFIG_H

#include <stddef.h>
#include <stdint.h>
#include <jansson.h>

#include "core/err.h"
#include "core/settings.h"

enum config_origin { CONFIG_DEFAULT, CONFIG_RIG, CONFIG_SCENARIO, CONFIG_ENVIRONMENT, CONFIG_FLAG };

/* Those that go before a scenario's own; zero: none. */
struct config_settings {
	int64_t v[SETTING_COUNT]; /* base units */
	enum config_origin from[SETTING_COUNT]; /* CONFIG_DEFAULT: not said */
};

/* "access_ttl=2s". 0 or ERR_PARSE. */
int config_set(struct config_settings *c, const char *text, enum config_origin from, struct err *e);
/* Every setting whose variable is there. 0 or ERR_PARSE. */
int config_environment(struct config_settings *c, struct err *e);
/* "QUICRIG_ACCESS_TTL" of "access_ttl" into `out`; returns it. */
const char *config_variable(const char *name, char *out, size_t size);
/* Gives a resolved plan what goes before its own settings, and `rig` ({name: base units}; may be
 * NULL) where it has none. 0; ERR_PARSE where what comes of it does not fit together. */
int config_apply(const struct config_settings *c, json_t *rig, json_t *plan, struct err *e);

#endif
