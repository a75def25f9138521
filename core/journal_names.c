#include "core/journal_names.h"

#include <assert.h>
#include <string.h>

const struct journal_field_name journal_fields[JF_END] = {
#define TYPE_S			true
#define TYPE_I			false
#define FIELD(name, json, type) {json, ",\"" json "\":", sizeof(",\"" json "\":") - 1, TYPE_##type},
	JOURNAL_FIELDS(FIELD)
#undef FIELD
};

const struct journal_kind_name journal_kinds[J_END] = {
#define KIND(name, json, list) {json, list},
	JOURNAL_KINDS(KIND)
#undef KIND
};

/* Where a name stands in its table: made from the tables above at the first question. */
#define SLOTS 256

static struct {
	bool made;
	uint8_t kind[SLOTS], field[SLOTS]; /* number + 1; 0: free */
	uint64_t mask[J_END];		   /* a kind's fields, a bit each */
} made;

static_assert(JF_END <= 64, "a kind's fields are bits of 64");
static_assert(J_END <= SLOTS / 2 && JF_END <= SLOTS / 2, "the name tables need room");

static unsigned slot_of(const char *name, size_t len)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)name[i]) * 16777619u;
	return (h ^ h >> 16) % SLOTS;
}

static void enter(uint8_t *slots, const char *name, unsigned number)
{
	unsigned i = slot_of(name, strlen(name));

	while (slots[i])
		i = (i + 1) % SLOTS;
	slots[i] = (uint8_t)(number + 1);
}

static uint64_t mask_of(const char *list)
{
	uint64_t mask = 0;

	while (*list) {
		size_t len = strcspn(list, " ");

		for (unsigned f = 0; f < JF_END; f++)
			if (strlen(journal_fields[f].name) == len &&
			    memcmp(journal_fields[f].name, list, len) == 0)
				mask |= UINT64_C(1) << f;
		list += len;
		list += *list == ' ';
	}
	return mask;
}

static void make(void)
{
	if (made.made)
		return;
	for (unsigned k = 0; k < J_END; k++) {
		enter(made.kind, journal_kinds[k].name, k);
		made.mask[k] = mask_of(journal_kinds[k].fields);
	}
	for (unsigned f = 0; f < JF_END; f++)
		enter(made.field, journal_fields[f].name, f);
	made.made = true;
}

static bool is(const char *known, const char *name, size_t len)
{
	return strncmp(known, name, len) == 0 && known[len] == '\0';
}

int journal_kind_find(const char *name, size_t len)
{
	unsigned i = slot_of(name, len);

	for (make(); made.kind[i]; i = (i + 1) % SLOTS)
		if (is(journal_kinds[made.kind[i] - 1].name, name, len))
			return made.kind[i] - 1;
	return -1;
}

int journal_field_find(const char *name, size_t len)
{
	unsigned i = slot_of(name, len);

	for (make(); made.field[i]; i = (i + 1) % SLOTS)
		if (is(journal_fields[made.field[i] - 1].name, name, len))
			return made.field[i] - 1;
	return -1;
}

bool journal_kind_has(enum journal_kind k, enum journal_field f)
{
	make();
	return made.mask[k] >> f & 1;
}
