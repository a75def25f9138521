/* Commands that ride in 200 replies (protocol.md §2): each id is done once. */
#include "sim/device_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/plant.h"

static bool was_done(const struct device *dev, const char *id)
{
	for (unsigned i = 0; i < dev->done_n; i++)
		if (strcmp(dev->done[i], id) == 0)
			return true;
	return false;
}

static bool keys_usable(json_t *keys)
{
	size_t n = json_array_size(keys), i;
	struct token_keys *k;
	json_t *one;
	bool good = true;

	if (n < 1 || n > DEVICE_PINS_MAX)
		return false;
	k = token_keys_new();
	if (!k)
		return false;
	json_array_foreach(keys, i, one) {
		if (!json_is_string(one) || json_string_length(one) > PEM_MAX ||
		    token_keys_add(k, json_string_value(one), NULL)) {
			good = false;
			break;
		}
	}
	token_keys_free(k);
	return good;
}

enum device_cause device_command_cause(const struct device *dev, const struct msg_response *r)
{
	json_t *seconds = json_object_get(r->command, "seconds");

	if (r->command_id[0] && was_done(dev, r->command_id) && !PLANTED(COMMAND_TWICE))
		return CAUSE_NONE;
	if (!r->command_id[0])
		return CAUSE_CMD_OTHER;
	if (r->command_kind == CMD_IDLE)
		return CAUSE_CMD_IDLE;
	if (dev->resource != MSG_PUBLISH)
		return CAUSE_CMD_OTHER; /* the others ride on publish's 200 only */
	switch (r->command_kind) {
	case CMD_PAUSE:
		return json_is_number(seconds) && json_number_value(seconds) >= 0 ? CAUSE_CMD_PAUSE :
										    CAUSE_CMD_OTHER;
	case CMD_CONFIG:
		return json_is_number(json_object_get(r->command, "publishInterval")) ? CAUSE_CMD_CONFIG :
											CAUSE_CMD_OTHER;
	case CMD_KEYS:
		return keys_usable(json_object_get(r->command, "keys")) ? CAUSE_CMD_KEYS : CAUSE_CMD_OTHER;
	case CMD_RESET:
		return CAUSE_CMD_RESET;
	default:
		return CAUSE_CMD_OTHER;
	}
}

static int note_done(struct device *dev, const char *id)
{
	if (!dev->done) {
		dev->done = calloc(DEVICE_DONE_KEPT, sizeof(*dev->done));
		if (!dev->done)
			return ERR_NOMEM;
	}
	if (dev->done_n == DEVICE_DONE_KEPT) {
		memmove(dev->done[0], dev->done[1], (DEVICE_DONE_KEPT - 1) * sizeof(*dev->done));
		dev->done_n--;
	}
	snprintf(dev->done[dev->done_n++], sizeof(*dev->done), "%s", id);
	return 0;
}

/* Checked by keys_usable before; only memory can fail. */
static int take_keys(struct device *dev, json_t *keys)
{
	struct token_keys *k = token_keys_new();
	char *pem[DEVICE_PINS_MAX] = {NULL, NULL};
	size_t i;
	json_t *one;

	if (!k)
		return ERR_NOMEM;
	json_array_foreach(keys, i, one) {
		pem[i] = strdup(json_string_value(one));
		if (!pem[i] || token_keys_add(k, pem[i], NULL)) {
			token_keys_free(k);
			free(pem[0]);
			free(pem[1]);
			return ERR_NOMEM;
		}
	}
	token_keys_allow_no_kid(k, dev->accept_unsigned);
	token_keys_free(dev->own_keys);
	dev->own_keys = k;
	for (i = 0; i < DEVICE_PINS_MAX; i++) {
		free(dev->own_pem[i]);
		dev->own_pem[i] = pem[i];
	}
	return 0;
}

int device_command_take(struct device *dev, const struct msg_response *r, const struct instant *at)
{
	double seconds = json_number_value(json_object_get(r->command, "seconds"));
	int rv = 0;

	switch (r->command_kind) {
	case CMD_PAUSE:
		if (seconds > DEVICE_RETRY_MAX_S)
			seconds = DEVICE_RETRY_MAX_S;
		if (PLANTED(PAUSE_IGNORED))
			seconds = 0;
		dev->wait_until = time_add(at->now, (time_ns)(seconds * (double)NS_PER_S));
		break;
	case CMD_CONFIG: {
		time_ns old = dev->interval;

		if (PLANTED(CONFIG_IGNORED))
			break;
		dev->interval =
			device_clamp_interval(json_number_value(json_object_get(r->command, "publishInterval")));
		/* the next measure keeps its distance to the one before */
		dev->due_at = dev->due_at - old + dev->interval;
		break;
	}
	case CMD_KEYS:
		rv = take_keys(dev, json_object_get(r->command, "keys"));
		break;
	default:
		break;
	}
	return rv ? rv : note_done(dev, r->command_id);
}
