//! One binary for all tests; its modules are a table of contents.

mod abreast; // launches that do the same, in one
mod autotune; // variants of kernels: timed, kept, told, repeated
mod bench; // kernels timed under their roofline, and compared with earlier times
mod cli; // the commands, as a user calls them
mod conv; // convolutions: definition, twins, shaders, rules
mod crashes; // programs that are killed, and disks that fail
mod damaged; // files that are damaged or made up: checkpoints, run folders
mod data; // IDX files, MNIST, the stream of permuted tasks
mod devices; // which adapter --device means
mod divergence; // runs whose numbers are not finite; the steps that exports hold
mod epilogues; // what an epilogue reads, and how it is written for an adapter
mod exports; // losses, anchors and events for other programs
mod fetch; // data sets found, fetched, verified: `hindsight data`
mod folders; // run folders that several want, and those that are replaced
mod footprint; // how much memory runs take, and groups where they do not fit
mod fuzz_corpus; // files that fuzzing begins with, read and changed
mod gpu; // what needs an adapter: same numbers, counted launches, no waiting
mod gradients; // every rule and the whole HAL objective against finite differences
mod hal; // HAL's objective and its ablations
mod half; // values kept in half precision
mod hostile_data; // data files that are cut, crafted or not files at all
mod image_data; // CIFAR-100, miniImageNet: read, refused, kept
mod kernels; // every shader against its twin; every shader validated
mod kernels_command; // the catalogue, shaders in every language, kernels on a user's arrays
mod long_sums; // long rows and sums: right to a bound, or refused by the adapter
mod maps; // maps that share what they read, in one launch
mod memory; // the ring buffer and the reservoir
mod methods; // each method's step, and the silent bugs of other libraries
mod metrics; // accuracy and forgetting
mod non_finite; // NaN, infinities and -0 in every kernel
mod onnx; // published cases of convolution and its neighbours, from their original files
mod own_wgsl; // users' own compute shaders, as they stand
mod profile; // where time goes: lines, clocks, the trace, --explain
mod program; // what compiling keeps of the meaning
mod provenance; // results of another program, device or data: apart, and computed again
mod random; // named random streams
mod report; // tables, run folders, results.json
mod reproduce; // the paper's tables and figures, cell by cell
mod resnet; // batch normalisation, the residual network and its gradients
mod resume; // runs that were cut short, gone on with
mod runs; // runs side by side
mod signals; // requests to stop, and outputs that can't be written
mod split; // split benchmarks, and every method on a residual network
mod summary; // any run folders on one page
mod tune; // grids on tuning tasks

#[path = "../../examples/own_kernel.rs"]
mod own_kernel;
#[path = "../../examples/own_method.rs"]
mod own_method;
#[path = "../../examples/second_derivative.rs"]
mod second_derivative;
