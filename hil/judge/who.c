#include "hil/judge/who.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int take_name(struct who *out, json_t *name, struct err *e)
{
	if (!json_is_string(name) || json_string_length(name) >= sizeof(out->name))
		return err_set(e, ERR_PARSE, "who: a name is no text or too long");
	memcpy(out->name, json_string_value(name), json_string_length(name) + 1);
	return 0;
}

int who_from_plan(json_t *j, struct who *out, struct err *e)
{
	json_t *index = json_object_get(j, "index");

	memset(out, 0, sizeof(*out));
	if (!j || json_is_null(j) || json_is_true(json_object_get(j, "all")))
		return 0;
	if (json_is_true(json_object_get(j, "others"))) {
		out->kind = WHO_OTHERS;
		return 0;
	}
	if (json_is_true(json_object_get(j, "server"))) {
		out->kind = WHO_SERVER;
		return 0;
	}
	if (json_object_get(j, "modem")) {
		out->kind = WHO_MODEM;
		return take_name(out, json_object_get(j, "modem"), e);
	}
	if (!json_object_get(j, "group"))
		return err_set(e, ERR_PARSE, "who: names nobody");
	if (json_object_get(j, "ratio")) {
		out->kind = WHO_RATIO;
		snprintf(out->name, sizeof(out->name), "%.40s:%g%%", json_string_value(json_object_get(j, "group")),
			 100 * json_number_value(json_object_get(j, "ratio")));
		return json_is_string(json_object_get(j, "group")) ? 0 : err_set(e, ERR_PARSE, "who: a share of nothing");
	}
	if (index) {
		if (!json_is_integer(index) || json_integer_value(index) < 1 ||
		    json_integer_value(index) > UINT32_MAX)
			return err_set(e, ERR_PARSE, "who: an index counts from 1");
		out->kind = WHO_INDEX;
		out->index = (unsigned)json_integer_value(index);
	} else {
		out->kind = WHO_GROUP;
	}
	return take_name(out, json_object_get(j, "group"), e);
}

bool who_has(const struct who *w, const char *group, unsigned index, bool named)
{
	switch (w->kind) {
	case WHO_ALL:
		return true;
	case WHO_GROUP:
		return strcmp(w->name, group) == 0;
	case WHO_INDEX:
		return strcmp(w->name, group) == 0 && w->index == index;
	case WHO_OTHERS:
		return !named;
	case WHO_RATIO:
	case WHO_SERVER:
	case WHO_MODEM:
		break;
	}
	return false;
}

const char *who_text(const struct who *w, char *out, size_t size)
{
	static const char *const words[] = {
		[WHO_ALL] = "", [WHO_OTHERS] = "others", [WHO_SERVER] = "server"};

	if (w->kind == WHO_INDEX)
		snprintf(out, size, "%s[%u]", w->name, w->index);
	else
		snprintf(out, size, "%s", w->name[0] ? w->name : words[w->kind]);
	return out;
}
