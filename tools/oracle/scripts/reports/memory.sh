# machine nodes=256M cpus=1 swap=256M
# What the kernel prints on request (SysRq m): idle, with every second page given back, and while
# a program writes more than there is.
moment idle
job "anon A 170M nothp" "touch A seq all" "free A every=2" "sleep 6000" &
sleep 3
moment pieces
wait
job "anon A 300M nothp" "touch A seq all" "touch A random 1000000" &
player=$!
sleep 4
moment pressure
kill $player
