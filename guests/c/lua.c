/* Lua, running lua.lua: see the script. */
#include <stdio.h>
#include <stdlib.h>

#include "lauxlib.h"
#include "lua.h"
#include "lualib.h"

static const char SCRIPT[] = {
#include "lua.lua.inc"
    0,
};

static const luaL_Reg LIBRARIES[] = {
    {LUA_GNAME, luaopen_base},         {LUA_TABLIBNAME, luaopen_table}, {LUA_STRLIBNAME, luaopen_string},
    {LUA_MATHLIBNAME, luaopen_math},   {LUA_UTF8LIBNAME, luaopen_utf8},
};

int main(void) {
    lua_State *lua = luaL_newstate();
    if (lua == NULL) {
        return 1;
    }
    for (size_t i = 0; i < sizeof LIBRARIES / sizeof LIBRARIES[0]; i++) {
        luaL_requiref(lua, LIBRARIES[i].name, LIBRARIES[i].func, 1);
        lua_pop(lua, 1);
    }
    if (luaL_loadstring(lua, SCRIPT) != LUA_OK) {
        puts(lua_tostring(lua, -1));
        return 2;
    }
    lua_call(lua, 0, 0);
    lua_close(lua);
    return 0;
}
