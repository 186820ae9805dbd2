#pragma once
#include <vector>

#include "eqo/model/graph.h"

namespace eqo::pass {

// How many steps that lead to the output read each one's result; the output counts as read once more.
std::vector<int> readers(const PublicPlan& plan);

// Redirects every reader of `from`, and the output, to `to`, which comes before them.
void replace_uses(PublicPlan& plan, int from, int to);

// Puts a step at position `at`; those from there on move up by one. Its inputs come before `at`.
void insert(Model& model, int at, Node node, double scale);

// Removes the steps that nothing reads, renumbers the others, and infers all types anew.
void clean_up(Model& model);

}  // namespace eqo::pass
