/* Control verbs about devices. */
#include "server/control_internal.h"

static json_t *set_disabled(struct server *s, json_t *request, bool disabled, struct err *e)
{
	const char *uuid = control_text(request, "uuid");
	int rv;

	if (!uuid) {
		err_set(e, ERR_PARSE, "which uuid?");
		return NULL;
	}
	rv = enroll_disable(s->enroll, uuid, disabled);
	if (!rv)
		rv = server_commit(s);
	if (rv) {
		err_set(e, rv, rv == ERR_NOTFOUND ? "no such device in the registry" : "storage failed: %s",
			store_error(s->store));
		return NULL;
	}
	effects_event(&s->fx, NULL, false, s->at.now, uuid, NULL, NULL, J_OPERATOR,
		      &(struct journal_value)JS(NAME, disabled ? "disable" : "enable"), 1);
	/* it is durable now: told at once, so that a kill at the turn's end hides nothing */
	server_foresee(s);
	server_write_journal(s);
	return json_object();
}

json_t *control_disable(struct server *s, json_t *request, struct err *e)
{
	return set_disabled(s, request, true, e);
}

json_t *control_enable(struct server *s, json_t *request, struct err *e)
{
	return set_disabled(s, request, false, e);
}

static json_t *list_one(struct server *s, const struct registry_device *d, struct err *e)
{
	struct store_device row;
	int rv = store_device_get(s->store, d->uuid, &row);
	bool disabled = row.disabled < 0 ? d->disabled : row.disabled != 0;

	if (rv && rv != ERR_NOTFOUND) {
		err_set(e, rv, "storage failed: %s", store_error(s->store));
		return NULL;
	}
	return json_pack("{s:s, s:s, s:b, s:b}", "uuid", d->uuid, "deviceType", d->device_type, "disabled", disabled,
			 "family", row.fam[0] && !row.revoked);
}

json_t *control_list(struct server *s, json_t *request, struct err *e)
{
	const struct registry *reg = enroll_registry(s->enroll);
	json_t *first = json_object_get(request, "from"), *most = json_object_get(request, "limit");
	json_int_t from = json_integer_value(first), limit = most ? json_integer_value(most) : CONTROL_LIST_LIMIT;
	json_t *devices = json_array(), *out;
	size_t n = registry_count(reg), i;

	if ((first && !json_is_integer(first)) || from < 0 || limit < 1 || limit > CONTROL_LIST_LIMIT) {
		err_set(e, ERR_PARSE, "from counts from 0, limit is 1…%d", CONTROL_LIST_LIMIT);
		json_decref(devices);
		return NULL;
	}
	for (i = (size_t)from; i < n && i - (size_t)from < (size_t)limit; i++) {
		if (json_array_append_new(devices, list_one(s, registry_at(reg, i), e))) {
			err_set(e, ERR_NOMEM, "out of memory");
			json_decref(devices);
			return NULL;
		}
	}
	out = json_pack("{s:o}", "devices", devices);
	if (out && i < n)
		json_object_set_new(out, "next", json_integer((json_int_t)i));
	return out;
}

