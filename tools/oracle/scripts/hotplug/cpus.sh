# machine nodes=512M/0-1+512M/2-3 cpus=4
# CPUs go and come back; a limit that depends on their number is changed in between.
everything 00-boot
for cpu in 1 2 3; do
	echo 0 >/sys/devices/system/cpu/cpu$cpu/online
	note "cpu$cpu off $?"
	sleep 1
	everything 0$cpu-cpu$cpu-off
done
for cpu in 2 1 3; do
	echo 1 >/sys/devices/system/cpu/cpu$cpu/online
	note "cpu$cpu on $?"
	sleep 1
	everything 1$cpu-cpu$cpu-on
done
