/* Looks a line over for what must never be written: tokens, keys, codes in their SMS
 * form, whole IMSIs, telephone numbers. Words for what was found; NULL: nothing. */
#ifndef HIL_JUDGE_SECRET_H
#define HIL_JUDGE_SECRET_H

#include <stddef.h>

const char *secret_find(const char *line, size_t len);

#endif
