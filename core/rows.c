#include "core/rows.h"

#include <string.h>

static const char *const briefs[] = {
#define BRIEF(name, brief, full) brief,
	STATE_TABLE(BRIEF)
#undef BRIEF
};
static const char *const fulls[] = {
#define FULL(name, brief, full) full,
	STATE_TABLE(FULL)
#undef FULL
};
static const char *const ids[] = {
	"",
#define ID(state, event, text) #state "." text,
	ROW_TABLE(ID)
#undef ID
};
static const enum state_name states[] = {
	STATE_OFF,
#define FROM(state, event, text) STATE_##state,
	ROW_TABLE(FROM)
#undef FROM
};

const char *row_id(enum row_name row)
{
	return row < ROW_END ? ids[row] : "";
}

enum row_name row_by_id(const char *id)
{
	for (unsigned i = 1; i < ROW_END; i++)
		if (strcmp(ids[i], id) == 0)
			return (enum row_name)i;
	return ROW_NONE;
}

enum state_name row_state(enum row_name row)
{
	return row < ROW_END ? states[row] : STATE_OFF;
}

const char *state_brief(enum state_name s)
{
	return s < STATE_COUNT ? briefs[s] : "?";
}

const char *state_full(enum state_name s)
{
	return s < STATE_COUNT ? fulls[s] : "?";
}

int state_by_name(const char *name)
{
	for (int i = 0; i < STATE_COUNT; i++)
		if (strcmp(briefs[i], name) == 0 || strcmp(fulls[i], name) == 0)
			return i;
	return -1;
}
