/* facts.c: a rotary table as data for a reader. */
#include "blocks/rope/rope.h"

void zoo_rope_facts(const zoo_rope *rope, const zoo_facts *to)
{
    if (!rope) {
        to->text(to, "rotation", "none");
        return;
    }
    to->text(to, "rotation", rope->name ? rope->name : "default");
    to->number(to, "rotary_dims", 2.0 * rope->n_pairs);
    to->number(to, "theta", rope->theta);
    if (rope->scaling > 1) {
        to->number(to, "rotation_factor", rope->scaling);
    }
    if (rope->interleaved) {
        to->number(to, "interleaved", 1);
    }
}
