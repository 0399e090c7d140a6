/* problems.c: problems.h. Lack of memory and unreadable files still end the opening. */
#include "config/problems.h"

zoo_status zoo_problems_take(zoo_problems *problems, zoo_status status, const zoo_error *err)
{
    bool of_contents = status == ZOO_E_CONFIG || status == ZOO_E_FORMAT || status == ZOO_E_WEIGHT;
    if (!problems || !err || !of_contents) {
        return status;
    }
    problems->status = problems->n++ == 0 ? status : problems->status;
    problems->tell(problems->arg, err->text);
    return ZOO_OK;
}
