# machine nodes=256M cpus=2
# A program that wants more than there is, without swap: the report of the OOM killer.
before noswap
job "anon A 600M nothp" "touch A seq all"
after noswap
