/* QuickJS, running quickjs.js: see the script. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quickjs.h"

static const char SCRIPT[] = {
#include "quickjs.js.inc"
    0,
};

static JSValue print(JSContext *context, JSValueConst this, int count, JSValueConst *arguments) {
    (void)this;
    for (int i = 0; i < count; i++) {
        const char *text = JS_ToCString(context, arguments[i]);
        printf("%s%s", i == 0 ? "" : " ", text);
        JS_FreeCString(context, text);
    }
    putchar('\n');
    return JS_UNDEFINED;
}

int main(void) {
    JSRuntime *runtime = JS_NewRuntime();
    JSContext *context = JS_NewContext(runtime);
    JSValue global = JS_GetGlobalObject(context);
    JS_SetPropertyStr(context, global, "print", JS_NewCFunction(context, print, "print", 1));
    JS_FreeValue(context, global);
    JSValue result = JS_Eval(context, SCRIPT, strlen(SCRIPT), "quickjs.js", JS_EVAL_TYPE_GLOBAL);
    int status = 0;
    if (JS_IsException(result)) {
        JSValue exception = JS_GetException(context);
        const char *text = JS_ToCString(context, exception);
        printf("%s\n", text);
        JS_FreeCString(context, text);
        JS_FreeValue(context, exception);
        status = 1;
    }
    JS_FreeValue(context, result);
    JS_FreeContext(context);
    JS_FreeRuntime(runtime);
    return status;
}
