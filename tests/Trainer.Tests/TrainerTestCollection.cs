// The tests run one after another because libtorch's thread count and generator belong to the process.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
