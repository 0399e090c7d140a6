/* request_refuse.c: a refusal of a request, with the key that is at fault (request.h). */
#include "batch/request.h"

zoo_status zoo_request_refuse(zoo_request *request, const char *key, zoo_status code,
                              zoo_error *err, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    (void)snprintf(request->param, sizeof request->param, "%s", key);
    return zoo_fail(err, code, "%s", text);
}
