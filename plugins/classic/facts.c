/* facts.c: what stands around the layers, as data for a reader. */
#include "classic.h"

void classic_positions_facts(const void *params, const zoo_facts *to)
{
    const classic_positions *p = params;
    to->text(to, "kind", p->learned ? "learned positions" : "sinusoidal positions");
    to->number(to, "positions", p->rows - p->offset);
}

void classic_first_row_facts(const void *params, const zoo_facts *to)
{
    const classic_first_row *p = params;
    to->text(to, "kind", "one row of a table");
    to->number(to, "rows", p->rows);
}

void classic_project_facts(const void *params, const zoo_facts *to)
{
    const classic_project *p = params;
    to->text(to, "kind", "projection");
    to->number(to, "rows", p->rows);
    to->number(to, "columns", p->cols);
    if (p->activated) {
        to->text(to, "activation", zoo_act_name(p->act));
    }
}
