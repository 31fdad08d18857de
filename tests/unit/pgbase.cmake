# Base backups of the PostgreSQL source, without a server.
foreach(part parts manifest switch conf spool)
  bake_unit_test(pgbase_${part} DEPENDS bake_postgres fakehost TIMEOUT 120)
endforeach()
