#include "core/strictjson.h"

#include <stdbool.h>
#include <string.h>

#include "core/strictjson_quick.h"

unsigned strictjson_depth(const char *data, size_t len, unsigned stop)
{
	unsigned depth = 0, deepest = 0;
	bool in_string = false;

	for (size_t i = 0; i < len && deepest <= stop; i++) {
		char c = data[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			if (++depth > deepest)
				deepest = depth;
		} else if ((c == '}' || c == ']') && depth) {
			depth--;
		}
	}
	return deepest;
}

/* jansson's own words quote the input ("… near '…'"), so only its codes are used. */
static const char *sentence(enum json_error_code code)
{
	switch (code) {
	case json_error_duplicate_key:
		return "duplicate key";
	case json_error_invalid_utf8:
		return "not UTF-8";
	case json_error_null_character:
	case json_error_null_byte_in_key:
		return "NUL in a text";
	case json_error_premature_end_of_input:
		return "JSON ends too early";
	case json_error_end_of_input_expected:
		return "more than one JSON document";
	case json_error_numeric_overflow:
		return "number too large";
	default:
		return "malformed JSON";
	}
}

json_t *strictjson_load(const char *data, size_t len, unsigned depth_max, struct err *e)
{
	enum json_error_code code;
	json_error_t je;
	json_t *j;

	j = strictjson_quick(data, len, depth_max);
	if (j)
		return j;
	if (!len) {
		err_set(e, ERR_PARSE, "empty");
		return NULL;
	}
	if (memchr(data, '\0', len)) {
		err_set(e, ERR_PARSE, "NUL byte");
		return NULL;
	}
	if (strictjson_depth(data, len, depth_max) > depth_max) {
		err_set(e, ERR_PARSE, "nested deeper than %u", depth_max);
		return NULL;
	}
	j = json_loadb(data, len, JSON_REJECT_DUPLICATES, &je);
	if (j)
		return j;
	code = json_error_code(&je);
	if (code == json_error_out_of_memory)
		err_set(e, ERR_NOMEM, "out of memory");
	else
		err_set_at(e, ERR_PARSE, NULL, je.line > 0 ? je.line : 0, je.column > 0 ? je.column : 0, "%s",
			   sentence(code));
	return NULL;
}

int strictjson_text(json_t *object, const char *key, char *out, size_t size)
{
	json_t *value = json_object_get(object, key);

	out[0] = '\0';
	if (!value)
		return 0;
	if (!json_is_string(value))
		return ERR_PARSE;
	if (json_string_length(value) >= size)
		return ERR_LIMIT;
	memcpy(out, json_string_value(value), json_string_length(value) + 1);
	return 1;
}
