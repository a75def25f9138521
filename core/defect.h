/* What a device's firmware does wrong where a scenario wants it to (`defects` of a group).
 * Plans name them, devices have them; unlike planted bugs (core/plant.h) they are in the
 * product, because somebody who tests a server needs devices that misbehave. */
#ifndef CORE_DEFECT_H
#define CORE_DEFECT_H

#include <string.h>

/* X(NAME, "name", "what") */
#define DEFECT_TABLE(X)                                                                                        \
	X(KEEPS_OLD_REFRESH, "keeps-old-refresh", "a refresh gives it a new refresh token, and it keeps the old one")

#define DEFECT_ENUM(name, text, doc) DEFECT_##name##_BIT,
enum defect_bit { DEFECT_TABLE(DEFECT_ENUM) DEFECT_COUNT };
#define DEFECT(name) (1u << DEFECT_##name##_BIT)

/* Its bit; 0 where unknown. */
static inline unsigned defect_by_name(const char *name)
{
#define DEFECT_NAME(id, text, doc)                                                                             \
	if (strcmp(name, text) == 0)                                                                           \
		return DEFECT(id);
	DEFECT_TABLE(DEFECT_NAME)
#undef DEFECT_NAME
	return 0;
}

#endif
