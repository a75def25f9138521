#include "core/plant.h"

#include <string.h>

enum plant plant_selected = PLANT_COUNT;

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
	return false;
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
