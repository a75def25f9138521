#include "reports/cells.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The replies that each of RG, LI, PV, RF must have met; 200 stands for all its forms. */
static const char *const replies[] = {"200", "400", "401", "403", "404", "412",     "413",
				      "429", "503", "700", "unknown", "no_code", "no_answer", "link_lost"};
static const enum state_name asking[] = {STATE_RG, STATE_LI, STATE_PV, STATE_RF};
static const enum row_name late[] = {ROW_NP_LATE, ROW_AC_LATE, ROW_PA_LATE, ROW_IDLE_LATE};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

unsigned cells_count(void)
{
	return COUNT(asking) * COUNT(replies) + COUNT(late);
}

/* "200" also matches 200_sms and its like; the tenth rejection is one of its codes,
 * already counted under another row at least nine times. */
static bool row_in_cell(enum row_name row, enum state_name s, const char *reply)
{
	const char *event = strchr(row_id(row), '.');

	if (!event || row_state(row) != s)
		return false;
	event++;
	if (strcmp(reply, "200") == 0)
		return strncmp(event, "200", 3) == 0;
	return strcmp(event, reply) == 0;
}

uint64_t cells_get(const uint64_t rows[ROW_END], unsigned cell, char name[CELL_NAME])
{
	enum state_name s;
	const char *reply;
	uint64_t n = 0;

	if (cell >= COUNT(asking) * COUNT(replies)) {
		enum row_name row = late[cell - COUNT(asking) * COUNT(replies)];

		snprintf(name, CELL_NAME, "%s x late reply", state_brief(row_state(row)));
		return rows[row];
	}
	s = asking[cell / COUNT(replies)];
	reply = replies[cell % COUNT(replies)];
	for (unsigned i = 1; i < ROW_END; i++)
		if (row_in_cell((enum row_name)i, s, reply))
			n += rows[i];
	snprintf(name, CELL_NAME, "%s x %s", state_brief(s), reply);
	return n;
}

unsigned cells_hit(const uint64_t rows[ROW_END])
{
	char name[CELL_NAME];
	unsigned n = 0;

	for (unsigned i = 0; i < cells_count(); i++)
		n += cells_get(rows, i, name) > 0;
	return n;
}

unsigned rows_hit(const uint64_t rows[ROW_END])
{
	unsigned n = 0;

	for (unsigned i = 1; i < ROW_END; i++)
		n += rows[i] > 0;
	return n;
}

void rows_of_run(const struct run_result *r, uint64_t rows[ROW_END])
{
	memset(rows, 0, ROW_END * sizeof(rows[0]));
	for (size_t i = 0; i < r->n; i++)
		for (unsigned row = 1; row < ROW_END; row++)
			rows[row] += r->scenarios[i]->rows[row];
}
