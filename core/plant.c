#include "core/plant.h"

#include <string.h>

enum plant plant_selected = PLANT_COUNT;
bool plant_reached[PLANT_COUNT];
static bool tell;

static const struct {
	const char *name, *blame, *what, *beyond;
} rows[] = {
#define PLANT_ROW(id, name, blame, what, beyond) {name, blame, what, beyond},
	PLANT_TABLE(PLANT_ROW)
#undef PLANT_ROW
};

bool plant_select(const char *name)
{
	for (int i = 0; i < PLANT_COUNT; i++)
		if (strcmp(rows[i].name, name) == 0) {
			plant_selected = (enum plant)i;
			return true;
		}
	tell = !*name;
	return tell;
}

void plant_tell(struct journal *j, time_ns now)
{
	for (int i = 0; tell && i < PLANT_COUNT; i++)
		if (plant_reached[i])
			JOURNAL(j, now, "runner", NULL, NULL, NULL, J_PLANT_REACHED, JS(NAME, rows[i].name));
}

void plant_list(FILE *out)
{
	/* the table's texts have nothing that JSON would escape */
	for (int i = 0; i < PLANT_COUNT; i++) {
		fprintf(out, "{\"name\":\"%s\",\"blame\":\"%s\",\"what\":\"%s\"", rows[i].name, rows[i].blame,
			rows[i].what);
		if (rows[i].beyond)
			fprintf(out, ",\"beyond\":\"%s\"", rows[i].beyond);
		fputs(i == PLANT_CANARY ? ",\"canary\":true}\n" : "}\n", out);
	}
}
