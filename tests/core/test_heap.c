/* The deadline heap against a plain search. */
#include <check.h>
#include <stdlib.h>

#include "core/heap.h"
#include "core/rng.h"

struct thing {
	int id;
	struct heap_node node;
	unsigned set; /* when it was put where it is */
};

enum op { SET, DROP, TOP };

static const struct {
	const char *label;
	struct {
		enum op op;
		int thing; /* TOP: who must be on top, -1 nobody */
		time_ns at;
	} ops[8];
} rows[] = {
	{"empty", {{TOP, -1, TIME_NEVER}}},
	{"earliest first", {{SET, 0, 5}, {SET, 1, 3}, {SET, 2, 4}, {TOP, 1, 3}}},
	{"ties break on the order of setting", {{SET, 2, 5}, {SET, 1, 5}, {SET, 0, 5}, {TOP, 2, 5}}},
	{"moved later", {{SET, 0, 1}, {SET, 1, 2}, {SET, 0, 3}, {TOP, 1, 2}}},
	{"moved earlier", {{SET, 0, 5}, {SET, 1, 2}, {SET, 0, 1}, {TOP, 0, 1}}},
	{"set again to the same time keeps its turn", {{SET, 0, 5}, {SET, 1, 5}, {SET, 0, 5}, {TOP, 0, 5}}},
	{"removed", {{SET, 0, 1}, {SET, 1, 2}, {DROP, 0, 0}, {TOP, 1, 2}}},
	{"removed twice", {{SET, 0, 1}, {DROP, 0, 0}, {DROP, 0, 0}, {TOP, -1, TIME_NEVER}}},
	{"never is a time too", {{SET, 0, TIME_NEVER}, {TOP, 0, TIME_NEVER}}},
};

START_TEST(table)
{
	struct thing things[3] = {{0, {0}, 0}, {1, {0}, 0}, {2, {0}, 0}};
	struct heap h;
	int i, wanted;

	heap_init(&h);
	for (i = 0; i == 0 || rows[_i].ops[i - 1].op != TOP; i++) {
		wanted = rows[_i].ops[i].thing;
		if (rows[_i].ops[i].op == SET)
			ck_assert_int_eq(heap_set(&h, &things[wanted].node, rows[_i].ops[i].at), 0);
		else if (rows[_i].ops[i].op == DROP)
			heap_remove(&h, &things[wanted].node);
	}
	ck_assert_msg(heap_deadline(&h) == rows[_i].ops[i - 1].at, "%s", rows[_i].label);
	if (wanted < 0)
		ck_assert_ptr_null(heap_top(&h));
	else
		ck_assert_msg(HEAP_ENTRY(heap_top(&h), struct thing, node)->id == wanted, "%s",
			      rows[_i].label);
	heap_fini(&h);
}
END_TEST

/* Ties by the order of setting, kept beside the heap. */
static struct heap_node *earliest(struct thing *things, int n)
{
	struct heap_node *best = NULL;
	int i;

	for (i = 0; i < n; i++) {
		struct heap_node *it = &things[i].node;

		if (it->place && (!best || it->at < best->at || (it->at == best->at && things[i].set < HEAP_ENTRY(best, struct thing, node)->set)))
			best = it;
	}
	return best;
}

START_TEST(like_a_plain_search)
{
	enum { N = 200 };
	static struct thing things[N];
	struct heap h;
	struct rng r;
	int i;

	for (i = 0; i < N; i++)
		things[i] = (struct thing){i, {0}, 0};
	heap_init(&h);
	rng_init(&r, (uint64_t)_i, "test", "heap");
	for (i = 0; i < 5000; i++) {
		struct thing *t = &things[rng_below(&r, N)];

		if (rng_below(&r, 3) == 0) {
			heap_remove(&h, &t->node);
		} else {
			time_ns at = rng_below(&r, 100);

			/* the same time again keeps its turn */
			if (!t->node.place || t->node.at != at)
				t->set = (unsigned)i + 1;
			ck_assert_int_eq(heap_set(&h, &t->node, at), 0);
		}
		ck_assert_ptr_eq(heap_top(&h), earliest(things, N));
	}
	while (heap_top(&h)) {
		ck_assert_ptr_eq(heap_top(&h), earliest(things, N));
		heap_remove(&h, heap_top(&h));
	}
	heap_fini(&h);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("heap");
	TCase *t = tcase_create("heap");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(t, table, 0, (int)(sizeof(rows) / sizeof(rows[0])));
	tcase_add_loop_test(t, like_a_plain_search, 1, 6);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
