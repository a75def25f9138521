/* Control verbs about devices, and the clock. */
#include "server/control_internal.h"

#include "server/clock.h"

static const char *uuid_of(json_t *request, struct err *e)
{
	const char *uuid = control_text(request, "uuid");

	if (!uuid)
		err_set(e, ERR_PARSE, "which uuid?");
	return uuid;
}

/* What the operator asked for worked so far, or `rv`: committed, and told at once, so that
 * a kill at the turn's end hides nothing. */
static int settle(struct server *s, int rv, const char *uuid, const char *name, struct err *e)
{
	if (!rv)
		rv = server_commit(s);
	if (rv)
		return err_set(e, rv, rv == ERR_NOTFOUND ? "no such device in the registry" : "storage failed: %s",
			       store_error(s->store));
	effects_event(&s->fx, NULL, false, s->at.now, uuid, NULL, NULL, J_OPERATOR,
		      &(struct journal_value)JS(NAME, name), 1);
	server_foresee(s);
	server_write_journal(s);
	return 0;
}

static json_t *set_disabled(struct server *s, json_t *request, bool disabled, struct err *e)
{
	const char *uuid = uuid_of(request, e);

	if (!uuid || settle(s, enroll_disable(s->enroll, uuid, disabled), uuid, disabled ? "disable" : "enable", e))
		return NULL;
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

json_t *control_decommission(struct server *s, json_t *request, struct err *e)
{
	const char *uuid = uuid_of(request, e);

	if (!uuid ||
	    settle(s, enroll_decommission(s->enroll, &s->at, uuid, &s->fx), uuid, "decommission", e))
		return NULL;
	return json_object();
}

json_t *control_readmit(struct server *s, json_t *request, struct err *e)
{
	const char *uuid = uuid_of(request, e);

	if (!uuid || settle(s, enroll_readmit(s->enroll, uuid), uuid, "readmit", e))
		return NULL;
	return json_object();
}

json_t *control_lift(struct server *s, json_t *request, struct err *e)
{
	const char *uuid = uuid_of(request, e);
	bool was = false;

	if (!uuid || settle(s, enroll_lift(s->enroll, uuid, &was), uuid, "lift", e))
		return NULL;
	return json_pack("{s:b}", "wasQuarantined", was);
}

/* ---- the clock ---- */

json_t *control_clock(struct server *s, json_t *request, struct err *e)
{
	int64_t issue = enroll_last_issue_ms(s->enroll);

	(void)request;
	(void)e;
	return json_pack("{s:I, s:I, s:b}", "nowMs", (json_int_t)s->at.unix_ms, "lastIssueMs", (json_int_t)issue,
			 "refusing", clock_behind(s->enroll, s->at.unix_ms));
}

json_t *control_clock_accept(struct server *s, json_t *request, struct err *e)
{
	(void)request;
	return settle(s, clock_accept(s->enroll, &s->at), NULL, "clock-accept", e) ? NULL : json_object();
}

/* ---- what there is ---- */

static json_t *show(struct server *s, const struct registry_device *d, struct err *e)
{
	struct store_device row;
	int rv = store_device_get(s->store, d->uuid, &row);
	bool disabled = row.disabled < 0 ? d->disabled : row.disabled != 0;

	if (rv && rv != ERR_NOTFOUND) {
		err_set(e, rv, "storage failed: %s", store_error(s->store));
		return NULL;
	}
	return json_pack("{s:s, s:s, s:b, s:b, s:b}", "uuid", d->uuid, "deviceType", d->device_type, "disabled",
			 disabled, "quarantined", row.quarantined, "family", row.fam[0] && !row.revoked);
}

static void add_family(json_t *out, const struct store_device *row)
{
	json_object_set_new(out, "familyId", json_string(row->fam));
	json_object_set_new(out, "loginAt", json_integer(row->fam_start_s));
	json_object_set_new(out, "issuedAt", json_integer(row->iat_s));
	json_object_set_new(out, "accessUntil", json_integer(row->access_exp_s));
	json_object_set_new(out, "refreshUntil", json_integer(row->refresh_exp_s));
	json_object_set_new(out, "kid", json_string(row->kid));
	json_object_set_new(out, "shown", json_boolean(row->presented));
}

/* No number and no IMSI: who may ask here need not know them. */
json_t *control_show(struct server *s, json_t *request, struct err *e)
{
	const char *uuid = uuid_of(request, e);
	const struct registry_device *d = uuid ? registry_find(enroll_registry(s->enroll), uuid) : NULL;
	json_t *out, *methods = json_array();
	struct store_device row;

	if (uuid && !d)
		err_set(e, ERR_NOTFOUND, "no such device in the registry");
	out = d ? show(s, d, e) : NULL;
	if (!out) {
		json_decref(methods);
		return NULL;
	}
	for (unsigned i = 0; i < REGISTRY_METHODS && d->methods[i][0]; i++)
		json_array_append_new(methods, json_string(d->methods[i]));
	json_object_set_new(out, "serialId", json_string(d->serial_id));
	json_object_set_new(out, "networkType", json_string(d->network_type));
	json_object_set_new(out, "methods", methods);
	if (!store_device_get(s->store, uuid, &row) && row.fam[0])
		add_family(out, &row);
	return out;
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
		if (json_array_append_new(devices, show(s, registry_at(reg, i), e))) {
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

