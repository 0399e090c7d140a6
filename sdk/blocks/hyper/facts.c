/* facts.c: residual streams as data for a reader. */
#include "blocks/hyper/hyper.h"

void zoo_hyper_facts(const void *params, const zoo_facts *to)
{
    const zoo_hyper *p = params;
    to->text(to, "kind", "hyper-connections");
    to->number(to, "streams", p->n);
    to->text(to, "residual",
             p->iters ? "streams are mixed with one another around every block"
                      : "streams with a weight of their own around every block");
    if (p->iters) {
        to->number(to, "sinkhorn_rounds", p->iters);
    }
}
