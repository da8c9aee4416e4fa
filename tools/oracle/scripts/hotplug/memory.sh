# machine nodes=512M/0+512M/1 cpus=2 monitor=1
# 256 MiB are plugged into node 0: one block for the kernel, the others movable, and away again.
everything 00-boot
monitor object_add memory-backend-ram,id=ram9,size=256M
monitor device_add pc-dimm,id=dimm9,memdev=ram9,node=0
everything 01-plugged
blocks=$(grep -l offline /sys/devices/system/memory/memory*/state)
way=online_kernel
for block in $blocks; do
	echo $way >"$block"
	note "$block $way $?"
	way=online_movable
done
everything 02-online
for block in $blocks; do
	echo offline >"$block"
	note "$block offline $?"
done
everything 03-offline
monitor device_del dimm9
sleep 2
everything 04-unplugged
