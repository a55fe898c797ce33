/* libnvidia-ml.so.1 of one graphics unit, as far as the probe asks: built by the test and loaded by nvidia-ml-py.
   FAKE_NVML names a file with "watts mode architecture" that is read at every call; mode: ok, power (counts no energy),
   lost, back, empty (its registers have all bits set); the architecture is NVML's number, 0 for a library that does not
   tell, 78 for an Ampere that is a GA100. The energy counter moves every 20 ms. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6, LOST = 15 };

static double watts;
static char mode[16];
static int architecture;

static void look(void) {
    FILE *file = fopen(getenv("FAKE_NVML"), "r");
    if (file) {
        architecture = 0;
        if (fscanf(file, "%lf %15s %d", &watts, mode, &architecture) < 2)
            strcpy(mode, "lost");
        fclose(file);
    }
}

static unsigned long long ticks(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 50ULL + now.tv_nsec / 20000000;
}

int nvmlInitWithFlags(unsigned flags) { (void)flags; look(); return strcmp(mode, "denied") ? SUCCESS : NO_PERMISSION; }
int nvmlInit_v2(void) { return nvmlInitWithFlags(0); }
int nvmlShutdown(void) { return SUCCESS; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 1; return SUCCESS; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    *handle = &watts;
    return index ? NOT_FOUND : SUCCESS;
}

int nvmlDeviceGetName(void *handle, char *name, unsigned length) {
    (void)handle;
    snprintf(name, length, "Fake Orin");
    return SUCCESS;
}

int nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *millijoules) {
    static unsigned long long last, energy = 5000000;
    (void)handle;
    look();
    if (!strcmp(mode, "lost")) return LOST;
    if (!strcmp(mode, "power") || !strcmp(mode, "empty")) return NOT_SUPPORTED;
    if (!strcmp(mode, "back")) { *millijoules = 1; return SUCCESS; }
    unsigned long long now = ticks();
    if (last) energy += (now - last) * (unsigned long long)(watts * 20);
    last = now;
    *millijoules = energy;
    return SUCCESS;
}

int nvmlDeviceGetPowerUsage(void *handle, unsigned *milliwatts) {
    (void)handle;
    look();
    if (!strcmp(mode, "lost")) return LOST;
    *milliwatts = strcmp(mode, "empty") ? (unsigned)(watts * 1000) : 0xffffffff;
    return SUCCESS;
}

int nvmlDeviceGetArchitecture(void *handle, unsigned *number) {
    (void)handle;
    look();
    *number = architecture == 78 ? 7 : (unsigned)architecture;
    return architecture ? SUCCESS : NOT_SUPPORTED;
}

int nvmlDeviceGetCudaComputeCapability(void *handle, int *major, int *minor) {
    (void)handle;
    *major = 8, *minor = architecture == 78 ? 0 : 6;
    return architecture ? SUCCESS : NOT_SUPPORTED;
}

typedef struct { unsigned gpu, memory; } Utilization;
typedef struct { unsigned long long total, free, used; } Memory;

int nvmlDeviceGetUtilizationRates(void *handle, Utilization *rates) {
    (void)handle;
    rates->gpu = 37, rates->memory = 12;
    return SUCCESS;
}

int nvmlDeviceGetMemoryInfo(void *handle, Memory *memory) {
    (void)handle;
    memory->total = 8ULL << 30, memory->used = 1ULL << 30, memory->free = memory->total - memory->used;
    return SUCCESS;
}

int nvmlDeviceGetTemperature(void *handle, int sensor, unsigned *celsius) {
    (void)handle, (void)sensor;
    *celsius = 54;
    return SUCCESS;
}

const char *nvmlErrorString(int code) { return code == LOST ? "GPU is lost" : code == NOT_FOUND ? "Not Found" : "Error"; }
