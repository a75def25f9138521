/* Values that are numbers with a form of their own. Part of the reader (read.h). */
#ifndef HIL_LANGUAGE_READ_NUMBERS_H
#define HIL_LANGUAGE_READ_NUMBERS_H

#include "hil/language/read.h"

#define READ_NUMBERS_MAX 64

/* 10Mbit/s → bits a second, whole. NULL and a diag. */
json_t *read_bits(struct reader *r, const struct yaml_node *n, const struct vocab_key *k);
/* 3, "2..7" or a list of such → the numbers in order, each once, from 1 to 64. NULL and a diag. */
json_t *read_numbers(struct reader *r, const struct yaml_node *n, const struct vocab_key *k);

/* "02:00", "02:00:30" → ns since midnight; -1 where it is none. */
int64_t read_time_of_day(const char *text);

#endif
