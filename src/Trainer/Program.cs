using System.CommandLine;
using System.Runtime.InteropServices;
using ProxyTune.Checkpoints;
using ProxyTune.Trainer.Data;
using ProxyTune.Trainer.Recipes;
using ProxyTune.Trainer.Settings;
using ProxyTune.Trainer.Town;

using CancellationTokenSource interrupted = new();
using PosixSignalRegistration onInterrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Interrupt);
using PosixSignalRegistration onTerminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Interrupt);

Sources.Add(TownData.BuiltIn);
RootCommand root = new("Trains the models that ProxyTune serves.")
{
    Recipe<PretrainSettings>("pretrain", "Train a base on documents, or train one further.", Pretrain.Run),
    Recipe<SftSettings>("sft", "Tune a model on answers: all weights, or a low-rank update.", Sft.Run),
    Recipe<CptSettings>("cpt", "Tune an expert for the fused model that it will steer.", Cpt.Run),
    Recipe<PrtSettings>("prt", "Tune a small model as a reward that is added to a base, without an anti-expert.", Prt.Run),
    ExportCommand(),
    ManifestCommand(),
    EvaluateCommand(),
    FamilyCommand(),
    PortabilityCommand(),
    ForgettingCommand(),
    CommittedCommand(),
    CostCommand(),
};
return root.Parse(args).Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null });

Command Recipe<T>(string name, string description, Action<T, CancellationToken> run)
    where T : class, IRunSettings
{
    Option<string> config = new("--config") { Description = "The run's settings, a JSON file.", Required = true, HelpName = "FILE" };
    Command command = new(name, description) { config };
    command.SetAction(arguments => Guard(() => run(SettingsFile.Load<T>(arguments.GetValue(config)!), interrupted.Token)));
    return command;
}

static Command ExportCommand()
{
    Option<string> model = new("--model") { Description = "Checkpoint folder.", Required = true, HelpName = "FOLDER" };
    Option<string?> adapter = new("--adapter") { Description = "Folder of a low-rank update to merge.", HelpName = "FOLDER" };
    Option<string> output = new("--output") { Description = "Folder to serve.", Required = true, HelpName = "FOLDER" };
    Option<int> bits = new("--bits") { Description = "Bits of each linear weight: 32, 8 or 4.", DefaultValueFactory = _ => 32, HelpName = "NUMBER" };
    Command command = new("export", "Make a checkpoint servable, with or without a low-rank update.") { model, adapter, output, bits };
    command.SetAction(arguments =>
        Guard(() => Export.Run(arguments.GetValue(model)!, arguments.GetValue(adapter), arguments.GetValue(output)!, arguments.GetValue(bits))));
    return command;
}

static Command ManifestCommand()
{
    Option<string> model = new("--model") { Description = "Checkpoint folder that the update was trained on.", Required = true, HelpName = "FOLDER" };
    Option<string> adapter = new("--adapter") { Description = "Folder of the low-rank update.", Required = true, HelpName = "FOLDER" };
    Option<string> data = new("--data") { Description = "The data that the update was trained on.", Required = true, HelpName = "SOURCE" };
    Option<string> template = new("--template") { Description = "How a conversation becomes a prompt: chat, plain or a .jinja file.", DefaultValueFactory = _ => "chat", HelpName = "NAME" };
    Command command = new("manifest", "Write manifest.json, the description of a low-rank update.") { model, adapter, data, template };
    command.SetAction(arguments =>
        Guard(() => Manifest.Run(arguments.GetValue(model)!, arguments.GetValue(adapter)!, arguments.GetValue(data)!, arguments.GetValue(template)!)));
    return command;
}

Command EvaluateCommand()
{
    Option<string> models = new("--models") { Description = "A models folder.", DefaultValueFactory = _ => "models", HelpName = "FOLDER" };
    Option<string?> url = new("--url") { Description = $"The base URL of an OpenAI-compatible API in place of a folder, such as http://127.0.0.1:5000/v1. {Evaluate.KeyVariable} holds its key.", HelpName = "URL" };
    Option<string> served = new("--served") { Description = "Name of a served model.", Required = true, HelpName = "NAME" };
    Option<string?> fusion = new("--fusion") { Description = "Changes to its fusion, as in a request.", HelpName = "JSON" };
    Option<string> data = new("--data") { Description = "Examples, such as town:qa/test or a .jsonl file.", Required = true, HelpName = "SOURCE" };
    Option<bool> json = new("--json") { Description = """Print {"right": ..., "total": ..., "degenerate": ...} and nothing else.""" };
    Command command = new("evaluate", "Ask a served model and count the answers that are right to the letter, and those that loop or are cut off.") { models, url, served, fusion, data, json };
    command.SetAction(arguments => Guard(() => Evaluate.Run(
        new(arguments.GetValue(models)!, arguments.GetValue(url), arguments.GetValue(served)!, arguments.GetValue(fusion), arguments.GetValue(data)!, arguments.GetValue(json)),
        interrupted.Token)));
    return command;
}

Command FamilyCommand()
{
    Option<string> work = new("--work") { Description = "Folder of the runs.", DefaultValueFactory = _ => ".work/family", HelpName = "FOLDER" };
    Option<string> models = new("--models") { Description = "Folder that the served models are written to.", DefaultValueFactory = _ => "models", HelpName = "FOLDER" };
    Option<string> report = new("--report") { Description = "The document to write the figures into.", DefaultValueFactory = _ => "docs/quality.md", HelpName = "FILE" };
    Command command = new("family", "Train, export and evaluate the whole demo family. Continues where it stopped.") { work, models, report };
    command.SetAction(arguments => Guard(() => Family.Run(arguments.GetValue(work)!, arguments.GetValue(models)!, arguments.GetValue(report)!, interrupted.Token)));
    return command;
}

Command PortabilityCommand()
{
    Option<string> work = new("--work") { Description = "Folder of the runs.", DefaultValueFactory = _ => ".work/portability", HelpName = "FOLDER" };
    Option<string> origin = new("--base") { Description = "The base of generation 0, a checkpoint folder.", DefaultValueFactory = _ => "models/town-base", HelpName = "FOLDER" };
    Option<string> report = new("--report") { Description = "The document to write the figures into.", DefaultValueFactory = _ => "docs/quality.md", HelpName = "FILE" };
    Option<string> models = new("--models") { Description = "Folder that receives the base of generation 1 and the patches.", DefaultValueFactory = _ => "models", HelpName = "FOLDER" };
    Option<int> generations = Count("--generations", "Number of generations that the base is trained on.", PortabilityPlan.MaxGenerations, PortabilityPlan.MaxGenerations);
    Option<int> seeds = Count("--seeds", "How many times each patch is trained on the donor's generation and the next.", PortabilityPlan.UsualSeeds, 100);
    Command command = new("portability", "Train the base further, port patches to it and compare them. Continues where it stopped.") { work, origin, report, models, generations, seeds };
    command.SetAction(arguments => Guard(() => Portability.Run(
        arguments.GetValue(work)!, arguments.GetValue(origin)!, arguments.GetValue(report)!, arguments.GetValue(models)!, arguments.GetValue(generations), arguments.GetValue(seeds), interrupted.Token)));
    return command;
}

Command ForgettingCommand()
{
    Option<string> work = new("--work") { Description = "Folder of the runs.", DefaultValueFactory = _ => ".work/forgetting", HelpName = "FOLDER" };
    Option<string> models = new("--models") { Description = "The models folder, which the pair is added to.", DefaultValueFactory = _ => "models", HelpName = "FOLDER" };
    Option<string> report = new("--report") { Description = "The document to write the figures into.", DefaultValueFactory = _ => "docs/quality.md", HelpName = "FILE" };
    Option<int> steps = Count("--steps", "Training steps of the retain model; the forget model takes twice as many.", ForgettingPlan.UsualSteps, 1_000_000);
    Option<int> questions = Count("--questions", "The largest number of questions of each kind.", 300, 1_000_000);
    Command command = new("forgetting", "Train two small models that make the base forget a person, and examine it; continues where it stopped.") { work, models, report, steps, questions };
    command.SetAction(arguments => Guard(() => Forgetting.Run(
        arguments.GetValue(work)!, arguments.GetValue(models)!, arguments.GetValue(report)!, arguments.GetValue(steps), arguments.GetValue(questions), interrupted.Token)));
    return command;
}

Command CommittedCommand()
{
    Option<string> models = new("--models") { Description = "The models folder.", DefaultValueFactory = _ => "models", HelpName = "FOLDER" };
    Option<string> report = new("--report") { Description = "The document to write the figures into.", DefaultValueFactory = _ => "docs/quality.md", HelpName = "FILE" };
    Option<int> questions = Count("--questions", "The largest number of questions of each kind.", 300, 1_000_000);
    Command command = new("committed", "Examine the models of the models folder, without training: right and degenerate answers.") { models, report, questions };
    command.SetAction(arguments => Guard(() => CommittedModels.Run(
        arguments.GetValue(models)!, arguments.GetValue(report)!, arguments.GetValue(questions), interrupted.Token)));
    return command;
}

static Option<int> Count(string name, string description, int usual, int max)
{
    Option<int> option = new(name) { Description = description, DefaultValueFactory = _ => usual, HelpName = "NUMBER" };
    option.Validators.Add(result =>
    {
        if (result.GetValueOrDefault<int>() is var count && (count < 1 || count > max))
        {
            result.AddError($"{name} is {count}; accepted is 1 to {max}.");
        }
    });
    return option;
}

// What the portability recipe starts as a child, to measure it alone.
static Command CostCommand()
{
    Argument<string> what = new("what");
    Option<string> work = new("--work") { Required = true };
    Option<string> origin = new("--base") { Required = true };
    Option<string> output = new("--output") { Required = true };
    Command command = new(Costs.Command) { what, work, origin, output };
    command.Hidden = true;
    command.SetAction(arguments => Guard(() => Costs.Run(arguments.GetValue(what)!, arguments.GetValue(work)!, arguments.GetValue(origin)!, arguments.GetValue(output)!)));
    return command;
}

// The first signal asks the run to write a checkpoint; a second one ends the process at once.
void Interrupt(PosixSignalContext signal)
{
    signal.Cancel = !interrupted.IsCancellationRequested;
    interrupted.Cancel();
}

static int Guard(Action run)
{
    try
    {
        run();
        return 0;
    }
    catch (OperationCanceledException stopped)
    {
        Console.Error.WriteLine(stopped.Message);
        return 130;
    }
    catch (Exception error) when (error is TrainingException or EngineException or IOException or UnauthorizedAccessException)
    {
        Console.Error.WriteLine($"error: {error.Message}");
        return 1;
    }
}
